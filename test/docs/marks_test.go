package docs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// checks are the marks of each language, of which a block carries exactly one: what is done with it.
//
//	run        sh: executed with the page's world; yaml: dry-run by the API server, from which no field may be unknown
//	recorded   console: these lines are in test/demo/recorded.txt, in this order
//	expect     console: the command after "$ " is executed, and its output compared
//	invalid    yaml: the API server refuses it with this text
//	values     yaml: the chart is rendered with it and the API server takes the result
//	part       yaml: a part of the kind, decoded strictly; one of ours is completed and dry-run
//	parse      what cannot run here is parsed: sh with the flags of others' commands, json, hcl, promql
//	from       go, console: a part of this file, which is compiled, or what a test compares with what a command prints
//	skip       nothing, for one of the reasons below
var checks = map[string][]string{
	"sh":      {"run", "parse", "skip"},
	"console": {"expect", "recorded", "from"},
	"yaml":    {"run", "invalid", "values", "part", "parse", "skip"},
	"json":    {"parse"},
	"hcl":     {"parse"},
	"promql":  {"parse"},
	"go":      {"from"},
}

// beside are the marks that say more of a check: with="name=value" replaces <name>, file="name" puts the block where commands after it find it.
var beside = []string{"with", "file"}

// reasons are those for which a block may be skipped.
var reasons = []string{
	"needs a node",    // a kubelet, or a pod that runs
	"needs a release", // what only a release has: an image, a signature
}

// mostSkipped is how many blocks are skipped: whoever skips one more says so here.
const mostSkipped = 0

func TestEveryBlockIsMarked(t *testing.T) {
	total, skipped, checked := 0, map[string]int{}, map[string]int{}
	for _, p := range pages(t) {
		for _, b := range p.blocks {
			check, err := b.check()
			if err != nil {
				t.Errorf("%s: %v", p.at(b), err)
				continue
			}
			total++
			if check == "skip" {
				skipped[b.marks["skip"]]++
				continue
			}
			checked[b.language+" "+check]++
		}
	}
	for _, what := range slices.Sorted(maps.Keys(checked)) {
		t.Logf("%3d %s", checked[what], what)
	}
	for _, reason := range reasons {
		t.Logf("%3d skipped: %s", skipped[reason], reason)
	}
	t.Logf("%3d blocks", total)
	all := 0
	for _, n := range skipped {
		all += n
	}
	if all > mostSkipped {
		t.Errorf("%d blocks are skipped, and at most %d were", all, mostSkipped)
	}
}

// check is the one that the block asks for.
func (b block) check() (string, error) {
	known, ok := checks[b.language]
	if !ok {
		return "", fmt.Errorf("%q is not among the languages of the documentation", b.language)
	}
	var found []string
	for m := range b.marks {
		switch {
		case slices.Contains(known, m):
			found = append(found, m)
		case !slices.Contains(beside, m):
			return "", fmt.Errorf("%q is no mark of %s", m, b.language)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("this block of %s says nothing of how it is checked, or too much: it needs one of %s", b.language, strings.Join(known, ", "))
	}
	if found[0] == "skip" && !slices.Contains(reasons, b.marks["skip"]) {
		return "", fmt.Errorf("%q is not among the reasons to skip a block: %s", b.marks["skip"], strings.Join(reasons, "; "))
	}
	return found[0], nil
}

func TestABlockWithoutAMarkIsRefused(t *testing.T) {
	for info, want := range map[string]string{
		"sh":                        "says nothing",
		"sh run parse":              "too much",
		"yaml unseen":               "no mark of yaml",
		"rust run":                  "not among the languages",
		`sh skip="I was tired"`:     "not among the reasons",
		`sh skip="needs a release"`: "",
	} {
		language, marks, err := parseInfo(info)
		if err != nil {
			t.Fatal(err)
		}
		_, err = block{language: language, marks: marks}.check()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", info, err, want)
		}
	}
}
