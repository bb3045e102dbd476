package release

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

type workflow struct {
	Permissions *map[string]string `json:"permissions"`
	Jobs        map[string]struct {
		Uses        string            `json:"uses"`
		Needs       any               `json:"needs"`
		Permissions map[string]string `json:"permissions"`
		Strategy    struct {
			Matrix map[string][]string `json:"matrix"`
		} `json:"strategy"`
		Steps []struct {
			Uses string         `json:"uses"`
			With map[string]any `json:"with"`
		} `json:"steps"`
	} `json:"jobs"`
}

func workflows(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	const dir = ".github/workflows"
	entries, err := os.ReadDir(filepath.Join(root, filepath.FromSlash(dir)))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		texts[e.Name()] = read(t, path.Join(dir, e.Name()))
	}
	if len(texts) < 2 {
		t.Fatalf("found %d workflows only", len(texts))
	}
	return texts
}

var (
	usesLine = regexp.MustCompile(`(?m)^\s*(?:- )?uses:\s*(.*)$`)
	// A commit, and the version that it is, for the people and the bots who update it.
	pinned = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
)

// gate is of the same commit as whoever calls it.
const gate = "./.github/workflows/ci.yaml"

// A tag may name any commit.
func TestNothingIsReleasedThatHasNotPassedTheGate(t *testing.T) {
	jobs := parse(t, "release.yaml", workflows(t)["release.yaml"]).Jobs
	if jobs["gate"].Uses != gate || jobs["build"].Needs != "gate" {
		t.Errorf("the gate is %q, and build needs %v", jobs["gate"].Uses, jobs["build"].Needs)
	}
	for name, job := range jobs {
		if job.Needs == nil && name != "gate" {
			t.Errorf("%s waits for no other job", name)
		}
	}
	if text := workflows(t)["ci.yaml"]; !strings.Contains(text, "\n  workflow_call:") {
		t.Error("ci.yaml cannot be called")
	}
}

func unpinned(text string) []string {
	var found []string
	for _, m := range usesLine.FindAllStringSubmatch(text, -1) {
		if !pinned.MatchString(m[1]) && m[1] != gate {
			found = append(found, m[1])
		}
	}
	return found
}

func TestActionsArePinned(t *testing.T) {
	lines := 0
	for name, text := range workflows(t) {
		lines += len(usesLine.FindAllString(text, -1))
		for _, uses := range unpinned(text) {
			t.Errorf("%s: %s: want the commit in full, with its version after it: owner/action@<40 digits> # v1.2.3", name, uses)
		}
		// Nothing that YAML can spell in another way escapes the lines above.
		used := 0
		for _, job := range parse(t, name, text).Jobs {
			if job.Uses != "" {
				used++
			}
			for _, step := range job.Steps {
				if step.Uses != "" {
					used++
				}
			}
		}
		if got := len(usesLine.FindAllString(text, -1)); got != used {
			t.Errorf("%s: %d lines with uses for %d actions: write each as a line of its own", name, got, used)
		}
	}
	if lines < 5 {
		t.Errorf("found %d actions only", lines)
	}
}

func TestTagsAndBranchesAreNoPins(t *testing.T) {
	for _, uses := range []string{
		"actions/checkout@v7", "actions/checkout@main", "actions/checkout@3d3c42e", "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1",
		"docker://alpine:3", "./.github/actions/own",
		"someone/else/.github/workflows/own.yml@v2.1.0",
	} {
		if len(unpinned("    - uses: "+uses+"\n")) != 1 {
			t.Errorf("%s passes as pinned", uses)
		}
	}
}

func parse(t *testing.T, name, text string) workflow {
	t.Helper()
	var w workflow
	if err := yaml.Unmarshal([]byte(text), &w); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return w
}

// granted are the rights to write that jobs need, by workflow and job. Everything else reads.
var granted = map[string][]string{
	"release.yaml/image":      {"attestations", "id-token", "packages"},
	"release.yaml/charts":     {"id-token", "packages"},
	"release.yaml/publish":    {"attestations", "contents", "id-token"},
	"site.yaml/publish":       {"contents"},
	"security.yaml/codeql":    {"security-events"},
	"security.yaml/scorecard": {"id-token", "security-events"},
}

func TestJobsHaveTheRightsTheyNeed(t *testing.T) {
	seen := 0
	for name, text := range workflows(t) {
		w := parse(t, name, text)
		if w.Permissions == nil || len(*w.Permissions) != 0 {
			t.Errorf("%s: want permissions: {} at the top, so that a job has what it names and no more", name)
		}
		for id, job := range w.Jobs {
			var writes []string
			for scope, access := range job.Permissions {
				if access != "read" {
					writes = append(writes, scope)
				}
			}
			slices.Sort(writes)
			if want := granted[name+"/"+id]; !slices.Equal(writes, want) {
				t.Errorf("%s: job %s may write %q, want %q", name, id, writes, want)
			}
			if granted[name+"/"+id] != nil {
				seen++
			}
			for _, step := range job.Steps {
				if strings.HasPrefix(step.Uses, "actions/checkout@") && step.With["persist-credentials"] != false {
					t.Errorf("%s: job %s leaves its token in .git/config; set persist-credentials: false", name, id)
				}
			}
		}
	}
	if seen != len(granted) {
		t.Errorf("%d of the %d jobs that are granted something are there", seen, len(granted))
	}
}

// A part that the workflow does not name would run at nobody's night.
func TestTheNightRunsEveryPart(t *testing.T) {
	listed, err := exec.CommandContext(t.Context(), filepath.Join(root, "test", "nightly"), "--list").Output()
	if err != nil {
		t.Fatal(err)
	}
	const name = "nightly.yaml"
	got := parse(t, name, read(t, path.Join(".github/workflows", name))).Jobs["part"].Strategy.Matrix["part"]
	if want := strings.Fields(string(listed)); len(want) < 10 || !slices.Equal(got, want) {
		t.Errorf("%s runs %q, want the parts of test/nightly: %q", name, got, want)
	}
}
