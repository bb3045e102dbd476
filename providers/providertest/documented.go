package providertest

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/regcred/regcred/providers"
)

// pages are those of docs/providers, seen from a provider's directory.
const pages = "../../docs/providers"

var (
	// row is one of a table of errors: reason, messages, cure.
	row = regexp.MustCompile("^\\| `([A-Za-z]+)` \\| (.+?) \\| (.+) \\|$")
	// quoted is a message, in which … stands for anything.
	quoted = regexp.MustCompile("`([^`]+)`")
)

// Documented proves that an error has a row on one of the provider's pages, which says what it means and what to do.
func Documented(t *testing.T, err error, names ...string) {
	t.Helper()
	failure, ok := errors.AsType[*providers.Error](err)
	if !ok {
		t.Errorf("%T is not an error of a provider", err)
		return
	}
	for _, name := range names {
		raw, err := os.ReadFile(filepath.Join(pages, name))
		if err != nil {
			t.Fatal(err)
		}
		_, table, _ := strings.Cut(string(raw), "\n## Errors\n")
		for line := range strings.Lines(table) {
			match := row.FindStringSubmatch(strings.TrimSpace(line))
			if len(match) == 4 && match[1] == failure.Reason && describes(match[2], failure.Error()) {
				return
			}
		}
	}
	t.Errorf("%s: no row of %s is about %q", failure.Reason, strings.Join(names, ", "), failure.Error())
}

// describes says whether one of the messages in the cell of a row is that of an error.
func describes(cell, text string) bool {
	for _, message := range quoted.FindAllStringSubmatch(cell, -1) {
		parts := strings.Split(message[1], "…")
		for i, part := range parts {
			parts[i] = regexp.QuoteMeta(strings.TrimSpace(part))
		}
		if regexp.MustCompile(strings.Join(parts, ".*")).MatchString(text) {
			return true
		}
	}
	return false
}
