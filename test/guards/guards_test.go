package guards

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

func TestTheListIsComplete(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Errorf("%d guards", len(all))
	}
	names := map[string]bool{}
	for _, g := range all {
		if g.Name == "" || names[g.Name] || g.Caught == "" || g.Run == "" || g.Take == g.Leave {
			t.Errorf("%+v is not complete, or not the only one of its name", g)
		}
		names[g.Name] = true
		if _, err := g.without(root); err != nil {
			t.Errorf("%s: %v", g.Name, err)
		}
		for _, tests := range g.all() {
			top, _, _ := strings.Cut(tests.Run, "/") // what follows are subtests
			run, err := regexp.Compile(top)
			if err != nil {
				t.Fatalf("%s: %v", g.Name, err)
			}
			if !slices.ContainsFunc(testsOf(t, tests.Caught), run.MatchString) {
				t.Errorf("%s: no test of %s is called %s", g.Name, tests.Caught, top)
			}
		}
	}
}

var testFunc = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

// testsOf are the names of a package's tests.
func testsOf(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range testFunc.FindAllSubmatch(source, -1) {
			names = append(names, string(found[1]))
		}
	}
	return names
}

const (
	failure = "--- FAIL: TestIt (0.00s)\n"
	nilled  = "panic: runtime error: invalid memory address or nil pointer dereference"
	raised  = " [recovered, repanicked]\n\ngoroutine 7 [running]:\ntesting.tRunner.func1()\n\t/go/src/testing/testing.go:1977 +0x349\n" +
		"panic({0x1?, 0x2?})\n\t/go/src/runtime/panic.go:860 +0x13a\n"
	inTest    = "x.TestIt(0x3?)\n\t/repo/x_test.go:4 +0x2\n"
	inProduct = "x.Do(...)\n\t/repo/x.go:9\n"
)

func TestWhatIsNoticed(t *testing.T) {
	exit := errors.New("exit status 1")
	for _, c := range []struct {
		name, out string
		err       error
		want      string // "" where it is noticed
	}{
		{name: "tests that pass", out: "ok  \tx\t0.1s\n", want: "nothing noticed"},
		{name: "a test that fails", out: failure, err: exit},
		{name: "a compile error", out: "# x\nx.go:3:2: undefined: y\nFAIL\tx [build failed]\n", err: exit, want: "no test has failed"},
		{name: "a TestMain that fails", out: "no API server\nFAIL\tx\t0.1s\n", err: exit, want: "no test has failed"},
		{name: "a hang", out: "panic: test timed out after 5m0s\n", err: exit, want: "hangs"},
		{name: "a hang after a failure", out: failure + "panic: test timed out after 5m0s\n", err: exit, want: "hangs"},
		{name: "a test's own nil pointer", out: failure + nilled + raised + inTest, err: exit, want: "stumbles"},
		{name: "a nil pointer in the product", out: failure + nilled + raised + inProduct + inTest, err: exit},
		{name: "a nil pointer in a goroutine of the product", out: nilled + "\n\ngoroutine 8 [running]:\n" + inProduct + inTest, err: exit},
		{name: "a nil pointer in a goroutine of the test", out: nilled + "\n\ngoroutine 8 [running]:\n" + inTest, err: exit, want: "stumbles"},
		{name: "a panic that the product should have recovered", out: failure + "panic: a provider's" + raised + inTest, err: exit},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := noticed([]byte(c.out), c.err)
			if (got == nil) != (c.want == "") || got != nil && !strings.Contains(got.Error(), c.want) {
				t.Errorf("%v, want %q", got, c.want)
			}
		})
	}
}

func TestWhatIsSound(t *testing.T) {
	if err := sound([]byte("ok  \tx\t0.1s\n"), nil); err != nil {
		t.Error(err)
	}
	if sound([]byte(failure), errors.New("exit status 1")) == nil {
		t.Error("a test that fails anyway proves nothing")
	}
	if sound([]byte("ok  \tx\t0.1s [no tests to run]\n"), nil) == nil {
		t.Error("no test proves nothing")
	}
}
