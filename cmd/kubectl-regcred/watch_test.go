package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/status"
)

// reports is written to by a command that watches. It calls next when another report has come.
type reports struct {
	bytes.Buffer
	begin *regexp.Regexp
	seen  int
	next  func(n int)
}

func (r *reports) Write(p []byte) (int, error) {
	n, err := r.Buffer.Write(p)
	for len(r.begin.FindAll(r.Bytes(), -1)) > r.seen {
		r.seen++
		r.next(r.seen)
	}
	return n, err
}

// watched is what status prints of a credential until it has been changed once.
func watched(t *testing.T, begin string, args ...string) *reports {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stderr bytes.Buffer
	out := &reports{begin: regexp.MustCompile(begin)}
	out.next = func(n int) {
		if n > 1 {
			cancel()
			return
		}
		c := credential(t, "watched")
		c.Annotations = map[string]string{"example.com/changed-by": strings.ReplaceAll(t.Name(), "/", "-")}
		if err := admin.Patch(t.Context(), c, client.Merge); err != nil {
			t.Error(err)
		}
	}
	start(ctx, genericiooptions.IOStreams{In: &bytes.Buffer{}, Out: out, ErrOut: &stderr}, cp.Kubeconfig(), append([]string{"status", "watched", "-n", "team-a", "--watch"}, args...)...)
	if out.seen < 2 {
		t.Fatalf("%d reports: %s\n%s", out.seen, out, &stderr)
	}
	return out
}

// What programs read again and again is a stream of documents, and nothing else.
func TestStatusWatchesForProgramsToo(t *testing.T) {
	serving(t, "watched")
	for format, begin := range map[string]string{"json": `(?m)^  "credentials"`, "yaml": `(?m)^credentials:`} {
		t.Run(format, func(t *testing.T) {
			out := watched(t, begin, "-o", format)
			text := out.String()
			stream := yaml.NewYAMLOrJSONDecoder(out, len(text))
			for n := 0; ; n++ {
				var r status.Report
				err := stream.Decode(&r)
				if errors.Is(err, io.EOF) && n == 2 {
					return
				}
				if err != nil || len(r.Credentials) != 1 || r.Credentials[0].Name != "watched" {
					t.Fatalf("report %d: %+v, %v, of\n%s", n, r, err, text)
				}
			}
		})
	}
}

// People see when each report was.
func TestStatusWatchesForPeople(t *testing.T) {
	serving(t, "watched")
	out := watched(t, `(?m)^--- 2026-03-01T12:00:00Z$`)
	if first, _, _ := strings.Cut(out.String(), "\n"); first != "--- 2026-03-01T12:00:00Z" {
		t.Errorf("it begins with %q", first)
	}
}
