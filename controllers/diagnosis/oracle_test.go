package diagnosis

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/regcred/regcred/internal/dockerkey"
)

// cases are how many docker configs and images the kubelet's own keyring is asked about.
const cases = 20000

type question struct {
	Keys  []string
	Image string
}

// TestTheKubeletChoosesTheSame asks the kubelet's own code (test/controlplane/binaries/keyring) which logins it shows for random images.
func TestTheKubeletChoosesTheSame(t *testing.T) {
	oracle := filepath.Join(t.TempDir(), "keyring")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", oracle, "./keyring")
	build.Dir = filepath.Join("..", "..", "test", "controlplane", "binaries")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	random := rand.New(rand.NewPCG(1, 2)) // the same cases every time
	questions := make([]question, cases)
	var stdin bytes.Buffer
	encoder := json.NewEncoder(&stdin)
	for n := range questions {
		questions[n] = randomQuestion(random)
		if err := encoder.Encode(questions[n]); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), oracle)
	cmd.Stdin = &stdin
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewScanner(bytes.NewReader(out))
	answers.Buffer(nil, 1<<20)
	matched, failed := 0, 0
	for _, q := range questions {
		if !answers.Scan() {
			t.Fatal("the kubelet's keyring has stopped answering")
		}
		var a struct {
			Chosen []string
			Parsed bool
		}
		if err := json.Unmarshal(answers.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		i, ok := ParseImage(q.Image)
		if ok != a.Parsed {
			t.Errorf("%s is an image: %t, and for the kubelet: %t", q.Image, ok, a.Parsed)
		}
		if !ok || !a.Parsed {
			continue
		}
		want, got := grouped(a.Chosen), grouped(i.Choose(q.Keys))
		if len(want) > 0 {
			matched++
		}
		if !slices.Equal(want, got) && failed < 10 {
			failed++
			t.Errorf("%s with %q: %q, and the kubelet %q", q.Image, q.Keys, got, want)
		}
	}
	if matched < cases/20 {
		t.Errorf("only %d of %d images had a login: the cases prove little", matched, cases)
	}
}

// grouped sorts keys that are for the same: the kubelet shows their logins in no certain order.
func grouped(keys []string) []string {
	sorted := slices.Clone(keys)
	slices.SortStableFunc(sorted, func(a, b string) int {
		left, _ := dockerkey.Pattern(a)
		right, _ := dockerkey.Pattern(b)
		if left != right {
			return 0
		}
		return strings.Compare(a, b)
	})
	return sorted
}

var (
	labels  = []string{"a", "b", "registry", "ghcr", "docker", "index", "quay"}
	globs   = []string{"*", "a*", "?", "[ab]", "regis*ry", "[", "b"}
	tlds    = []string{"io", "com", "example"}
	ports   = []string{"", "", "", ":5000", ":443"}
	schemes = []string{"", "", "https://", "http://"}
	paths   = []string{"", "", "/", "/v1/", "/v2/", "/team", "/team/", "/te", "/v1/team", "/team/app", "/library"}
	images  = []string{"app", "team/app", "team-two/app", "library/app", "te/am/app"}
	known   = []string{"docker.io", "index.docker.io", "registry-1.docker.io", "https://index.docker.io/v1/", "index.docker.io/v1", "localhost:5000", "localhost"}
)

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

func randomHost(r *rand.Rand, words []string) string {
	host := pick(r, words)
	for range r.IntN(3) {
		host += "." + pick(r, words)
	}
	return host + "." + pick(r, tlds) + pick(r, ports)
}

// randomQuestion makes configs whose keys are often near the image's host.
func randomQuestion(r *rand.Rand) question {
	host := randomHost(r, labels)
	image := host + "/" + pick(r, images)
	switch r.IntN(6) {
	case 0:
		image = pick(r, images)
		host = "docker.io"
	case 1:
		host = pick(r, []string{"docker.io", "index.docker.io", "localhost:5000"})
		image = host + "/" + pick(r, images)
	}
	q := question{Image: image + pick(r, []string{"", ":1", "@sha256:" + strings.Repeat("a", 64)})}
	for range 1 + r.IntN(5) {
		var key string
		switch r.IntN(4) {
		case 0:
			key = pick(r, schemes) + randomHost(r, append(globs, labels...)) + pick(r, paths)
		case 1:
			key = pick(r, known)
		case 2:
			parts := strings.Split(host, ".")
			parts[r.IntN(len(parts))] = pick(r, globs)
			key = pick(r, schemes) + strings.Join(parts, ".") + pick(r, paths)
		default:
			key = pick(r, schemes) + host + pick(r, paths)
		}
		if !slices.Contains(q.Keys, key) {
			q.Keys = append(q.Keys, key)
		}
	}
	return q
}
