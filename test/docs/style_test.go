package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// style says what to write instead of what reads as translated, for readers whose second language is English.
var style = []struct {
	avoid   *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`\b[Aa]bsent: `), "Default: …"},
	{regexp.MustCompile(`\bgo(es)? before (it|both|the|others|.role|.tag)`), "takes precedence over …"},
	{regexp.MustCompile(`(?i)\b(is|are) told\b`), "is reported"},
	{regexp.MustCompile(`(?i)\bsuch an? one\b`), "it, or the noun again"},
	{regexp.MustCompile(`(?i)\bthere is none of\b`), "the subject, and has no …"},
	{regexp.MustCompile(`(?i)\bhow it stands\b`), "its state"},
	{regexp.MustCompile(`(?i)\bmakes? no sense\b|\bnonsense\b`), "cannot be parsed, or is invalid"},
	{regexp.MustCompile(`(?i)\bwhoever\b`), "anyone who, those who"},
	{regexp.MustCompile(`(?i)\bsays of itself\b`), "reports"},
	{regexp.MustCompile(`(?i)\b(utili[sz]e|leverage|seamless(ly)?|blazing|simply|just works)\b`), "use, or nothing"},
	{regexp.MustCompile(`(?i)\bplease note\b`), "nothing"},
	{regexp.MustCompile(`(?i)\be\.g\.|\bi\.e\.`), "such as, that is"},
	{regexp.MustCompile(`\b(can|won|don|doesn|isn|aren|couldn|shouldn)['’]t\b`), "the long form, which is easier to read"},
}

func badStyle(text string) []string {
	var found []string
	for _, rule := range style {
		if bad := rule.avoid.FindString(text); bad != "" {
			found = append(found, bad+" → "+rule.instead)
		}
	}
	return found
}

func TestStyle(t *testing.T) {
	texts := map[string]string{}
	for path, p := range pages(t) {
		texts[path] = p.text
	}
	for _, path := range []string{"charts/regcred/values.yaml", "charts/regcred/templates/NOTES.txt"} {
		raw, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		texts[path] = string(raw)
	}
	for path, text := range texts {
		number := 0
		for line := range strings.Lines(text) {
			number++
			for _, bad := range badStyle(line) {
				t.Errorf("%s, line %d of its text: %s", path, number, bad)
			}
		}
	}
}

func TestStyleFindsWhatItIsFor(t *testing.T) {
	for _, bad := range []string{"Absent: none.", "It goes before the tag.", "A warning is told once.", "It just works, e.g. here.", "You can't.", "The answer makes no sense.", "Whoever may read it."} {
		if len(badStyle(bad)) == 0 {
			t.Errorf("passed: %s", bad)
		}
	}
	if found := badStyle("Default: none. It takes precedence, and cannot be parsed."); len(found) > 0 {
		t.Errorf("refused what it recommends: %q", found)
	}
}
