package plugin

import (
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
)

const (
	aJWT    = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
	aSecret = "canary-1"
)

func TestWhatAPluginSaysIsRedacted(t *testing.T) {
	for text, want := range map[string]string{
		"dial tcp: lookup api.ecr.eu-west-1.amazonaws.com: no such host\n": "dial tcp: lookup api.ecr.eu-west-1.amazonaws.com: no such host",
		"two\nlines\tand \x1b[31mcolours\x1b[0m":                           "two lines and  [31mcolours [0m",
		"token " + aJWT:                                                    "token [redacted]",
		"got " + aJWT + " from it":                                         "got [redacted].[redacted].[redacted] from it",
		`{"password":"hunter2","user":1}`:                                  `{"password":"[redacted]","user":1}`,
		"Authorization: Basic dXNlcjpw":                                    "Authorization: [redacted] dXNlcjpw",
		"GET https://sts.example/?Action=x&Token=y failed":                 "GET https://sts.example/?[redacted] failed",
		"the value is " + aSecret:                                          "the value is [redacted]",
		"AKIAIOSFODNN7EXAMPLE is unknown":                                  "[redacted] is unknown",
		"broken \xff\xfe bytes":                                            "broken ? bytes",
		"":                                                                 "",
	} {
		if got := forPeople(text, aSecret, ""); got != want {
			t.Errorf("%q becomes\n%q, want\n%q", text, got, want)
		}
	}
}

func TestWhatIsKeptOfIsBounded(t *testing.T) {
	w := &words{}
	for range 100 {
		if n, err := w.Write([]byte(strings.Repeat("x y ", 100))); n != 400 || err != nil {
			t.Fatal(n, err)
		}
	}
	if n := w.text.Len(); n != maxWords {
		t.Errorf("%d bytes are kept", n)
	}
}

func TestAPluginsWordsAreADebugLine(t *testing.T) {
	for _, verbosity := range []int{0, 1} {
		var lines []string
		logger := funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{Verbosity: verbosity})
		ctx := logr.NewContext(t.Context(), logger)
		p := fake(t, "fail", fakeSecret+"="+aJWT, fakeCode+"=3")
		_, err := p.ask(ctx, "registry.example.com/team/app", subject{token: aSecret})
		if err == nil {
			t.Fatal("it failed, and gave an answer")
		}
		if len(lines) != verbosity {
			t.Errorf("at verbosity %d: %v", verbosity, lines)
		}
		for _, line := range lines {
			if !strings.Contains(line, "the service said") || strings.Contains(line, aJWT[:20]) || strings.Contains(line, aSecret) {
				t.Errorf("the line is %s", line)
			}
		}
		if strings.Contains(err.Error(), "the service said") {
			t.Error("the error repeats the plugin's words")
		}
	}
}

// fake is a plugin that does this.
func fake(t *testing.T, does string, env ...string) *plugin {
	t.Helper()
	s := newStage(t, does, env...)
	return &plugin{program: s.program, name: "fake"}
}
