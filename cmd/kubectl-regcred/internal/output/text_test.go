package output

import (
	"os/exec"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// hostile is what a tenant might put into a field.
var hostile = []string{
	"plain", "", "two words", "$(id)", "`id`", "it's", `"quoted"`, `back\slash`, "${file(\"/etc/passwd\")}", "%{ for x in y }", "\x1b[31mred", "a\nb", "bell\a",
	"\x9b31m", "umlaut ä", "; rm -rf /", "$'x'", "\u009b31m", "smile \U0001F600", "-n\x1b", "100%\x1b", "\x1b1", "\x7f", "\u202ertl", "line\u2028end", "\xff",
	"a\x1b'; echo ran #\n\u202e$(echo ran)`echo ran`\"\\%s", "\x1b\\'; echo ran #", "\n';echo ran;'\x1b",
}

func TestCleanShowsNoControlCharacter(t *testing.T) {
	for _, text := range hostile {
		for _, r := range Clean(text) {
			if unprintable(r) {
				t.Errorf("Clean(%q) = %q holds %q", text, Clean(text), r)
			}
		}
	}
	if got := Clean("a\x1bb\n\u00e4"); got != `a\x1bb\n\u00e4` {
		t.Errorf("Clean = %q", got)
	}
}

func TestShellGivesTheValueBackAndRunsNothing(t *testing.T) {
	for _, value := range hostile {
		quoted := Shell(value)
		if strings.ContainsFunc(quoted, unprintable) {
			t.Errorf("Shell(%q) = %q is not printable ASCII", value, quoted)
		}
		for _, shell := range []string{"sh", "bash"} {
			got, err := exec.CommandContext(t.Context(), shell, "-c", "printf %s "+quoted).CombinedOutput()
			if err != nil || string(got) != value {
				t.Errorf("%s reads %s as %q, %v; want %q", shell, quoted, got, err, value)
			}
		}
	}
}

func TestTerraformInterpolatesNothing(t *testing.T) {
	for value, want := range map[string]string{
		"plain":         `"plain"`,
		`a"b\c`:         `"a\"b\\c"`,
		`${file("x")}`:  `"$${file(\"x\")}"`,
		"%{ if true }":  `"%%{ if true }"`,
		"$${a}":         `"$$${a}"`,
		"100% of $5":    `"100% of $5"`,
		"\x1b[31m\n":    `"\u001b[31m\u000a"`,
		"ä \U0001F600":  `"\u00e4 \U0001f600"`,
		"ends with $":   `"ends with $"`,
		"arn:aws:iam::": `"arn:aws:iam::"`,
	} {
		if got := Terraform(value); got != want {
			t.Errorf("Terraform(%q) = %s, want %s", value, got, want)
		}
	}
}

func TestWrapKeepsWithinTheWidth(t *testing.T) {
	var b strings.Builder
	Wrap(&b, "  cure: ", strings.Repeat("some words ", 30)+"arn:aws:iam::123456789012:role/"+strings.Repeat("x", 90))
	for i, line := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
		if len(line) > Width && strings.Count(strings.TrimSpace(line), " ") > 0 {
			t.Errorf("line %d has %d columns: %s", i, len(line), line)
		}
		if i > 0 && !strings.HasPrefix(line, "        ") {
			t.Errorf("line %d is not indented: %q", i, line)
		}
	}
}

func TestEveryLineOfACommentIsOne(t *testing.T) {
	var b strings.Builder
	Comment(&b, strings.Repeat("touch x ", 40)+"\ntouch y")
	for line := range strings.Lines(b.String()) {
		if !strings.HasPrefix(line, "# ") {
			t.Errorf("no comment: %q", line)
		}
	}
}

// What is read back is what was written, and nothing of it reaches a terminal but ASCII.
func TestManifest(t *testing.T) {
	for _, value := range []string{"plain", "a\nb", "\u202e", "a\u202eb", "\u2028'\"\\", "\x1b[31m", "\U0001f600 \u00e9", "<&>"} {
		raw, err := Manifest(map[string]string{value: value})
		var back map[string]string
		if err != nil || strings.ContainsFunc(strings.ReplaceAll(string(raw), "\n", ""), unprintable) || yaml.Unmarshal(raw, &back) != nil || back[value] != value {
			t.Errorf("%q: %v: %q gives %q", value, err, raw, back)
		}
	}
}
