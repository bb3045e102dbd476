package release

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// unlinked are the modules that go.mod requires and no binary of a release links, each with a reason. What else tests need is a module of
// its own, such as test/gitops: who scans, vendors or updates Regcred gets what runs.
var unlinked = map[string]string{
	"cloud.google.com/go":                  "without it, an early version would hold packages of the modules that were split off",
	"github.com/google/go-cmp":             "tests: differences",
	"github.com/klauspost/compress":        "tests: go-containerregistry needs it for layers",
	"github.com/onsi/gomega":               "go mod tidy: a dependency's tests need it",
	"github.com/opencontainers/image-spec": "tests: go-containerregistry needs it for manifests",
	"gotest.tools/v3":                      "go mod tidy: a dependency's tests need it",
	"pgregory.net/rapid":                   "tests: properties",
}

func TestGoModHoldsWhatTheBinariesLink(t *testing.T) {
	linked := map[string]bool{}
	for _, build := range [][]string{
		{"linux", "./cmd/regcred", "./cmd/kubectl-regcred"}, {"darwin", "./cmd/kubectl-regcred"}, {"windows", "./cmd/kubectl-regcred"},
	} {
		arguments := append([]string{"list", "-deps", "-tags=grpcnotrace", "-f", "{{with .Module}}{{.Path}}{{end}}"}, build[1:]...)
		for path := range strings.FieldsSeq(goSays(t, build[0], arguments...)) {
			linked[path] = true
		}
	}
	var module struct{ Require []struct{ Path string } }
	if err := json.Unmarshal([]byte(goSays(t, "linux", "mod", "edit", "-json")), &module); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, required := range module.Require {
		if !linked[required.Path] {
			got[required.Path] = unlinked[required.Path]
		}
	}
	if diff := cmp.Diff(unlinked, got); diff != "" {
		t.Errorf("modules of go.mod that no binary links (-want +got):\n%s", diff)
	}
}

// goSays runs go at the top of the repository, for a system.
func goSays(t *testing.T, system string, arguments ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", arguments...)
	cmd.Dir, cmd.Stderr = root, os.Stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v", strings.Join(arguments, " "), err)
	}
	return string(out)
}
