package providers_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The tables of errors on the pages of docs/providers are compared with the code: what a provider can say stands there, and nothing else does.
var documented = []struct{ pages, code []string }{
	{[]string{"ecr"}, []string{"ecr", "internal/awsauth"}},
	{[]string{"ecrpublic", "ecr"}, []string{"ecrpublic"}},
	{[]string{"artifactregistry"}, []string{"artifactregistry"}},
	{[]string{"acr"}, []string{"acr"}},
	{[]string{"artifactory", "ecr"}, []string{"artifactory"}},
	{[]string{"static"}, []string{"static"}},
	{[]string{"plugin"}, []string{"plugin"}},
}

// shared is whose errors pass through providers.
var shared = []string{"internal/awsauth", "internal/outbound", "internal/secretdata", "internal/registryhost", "broker", "../controllers/target", "../controllers/view", "../cmd/regcred"}

func TestEveryErrorHasARowOnItsPage(t *testing.T) {
	for _, d := range documented {
		code := codeOf(t, d.code...)
		var rows []row
		for _, page := range d.pages {
			rows = append(rows, rowsOf(t, page)...)
		}
		said := code.sentences()
		if len(said) < 2 && d.code[0] != "ecrpublic" {
			t.Errorf("%v: found %d errors only", d.code, len(said))
		}
		for _, s := range said {
			if !slices.ContainsFunc(rows, s.isIn) {
				t.Errorf("no row of %v is about %s: %q", d.pages, s.reason, s.text)
			}
		}
	}
}

func TestEveryRowOfAPageIsAboutAnError(t *testing.T) {
	for _, d := range documented {
		texts := codeOf(t, append(slices.Clone(shared), d.code...)...).texts()
		for _, r := range rowsOf(t, d.pages[0]) {
			for _, m := range r.messages {
				if !slices.ContainsFunc(texts, func(text string) bool { return isAbout(m, text) }) {
					t.Errorf("%s.md: nobody says %q", d.pages[0], m)
				}
			}
		}
	}
}

// row is one of a table of errors.
type row struct {
	reason   string
	messages []string
}

var (
	tableRow = regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\| (.+?) \\| .+ \\|$")
	inCode   = regexp.MustCompile("`([^`]+)`")
)

func rowsOf(t *testing.T, page string) []row {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "docs", "providers", page+".md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(raw), "\n## Errors\n")
	var rows []row
	for _, match := range tableRow.FindAllStringSubmatch(table, -1) {
		r := row{reason: match[1]}
		for _, message := range inCode.FindAllStringSubmatch(match[2], -1) {
			r.messages = append(r.messages, message[1])
		}
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		t.Fatalf("%s.md has no table of errors", page)
	}
	return rows
}

// sentence is what an error says, with a gap where the code fills something in. Its reason is empty if it is decided elsewhere.
type sentence struct{ reason, text string }

func (s sentence) isIn(r row) bool {
	return (s.reason == "" || s.reason == r.reason) && slices.ContainsFunc(r.messages, func(m string) bool { return isAbout(m, s.text) })
}

// gap is anything: a verb in the code, … on a page.
const gap = "\x00"

var verb = regexp.MustCompile(`%[+#]?[a-zA-Z]`)

// telling is how long a piece of text must be to tell a message from others.
const telling = 8

// isAbout says whether a message of a page and a text of the code can be of the same error: a telling piece of one is in the other, or the
// end of one is the beginning of the other, with a gap on either side.
func isAbout(message, text string) bool {
	text = verb.ReplaceAllString(text, gap)
	pieces := strings.Split(text, gap)
	for m := range strings.SplitSeq(message, "…") {
		if m = strings.TrimSpace(m); len(m) < telling {
			if strings.HasPrefix(m, "(") && m == text {
				return true
			}
			continue
		}
		if strings.Contains(text, m) {
			return true
		}
		for _, p := range pieces {
			if p = strings.TrimSpace(p); len(p) >= telling && (strings.Contains(m, p) || overlaps(m, p) || overlaps(p, m)) {
				return true
			}
		}
	}
	return false
}

// overlaps says whether a ends as b begins.
func overlaps(a, b string) bool {
	for n := min(len(a), len(b)); n >= telling; n-- {
		if strings.HasSuffix(a, b[:n]) {
			return true
		}
	}
	return false
}
