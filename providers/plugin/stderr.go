package plugin

import (
	"regexp"
	"strings"
	"unicode"
)

// maxWords bounds what is kept of a plugin's standard error, and so a line of the log.
const maxWords = 2048

// words keeps the beginning of what is written to it, and takes the rest without a word.
type words struct{ text strings.Builder }

func (w *words) Write(data []byte) (int, error) {
	if room := maxWords - w.text.Len(); room > 0 {
		w.text.Write(data[:min(room, len(data))])
	}
	return len(data), nil
}

var (
	// named is what stands after the name of a secret.
	named = regexp.MustCompile(`(?i)((?:password|passwd|secret|token|authorization|bearer|basic|credential|signature|api[-_]?key)[a-z_-]*["']?\s*[:= ]\s*["']?)([^\s"',;]+)`)
	// query is that of a URL.
	query = regexp.MustCompile(`\?[^\s"']+`)
	// dense is what looks like a key or a token: long, and not made of words.
	dense = regexp.MustCompile(`[A-Za-z0-9+/_=~-]{20,}`)
)

const redacted = "[redacted]"

// forPeople is what a plugin has said, in one line, without what is secret or looks like it: a plugin may quote its input, its environment
// and its answers.
func forPeople(text string, secrets ...string) string {
	for _, s := range secrets {
		if len(s) >= 4 {
			text = strings.ReplaceAll(text, s, redacted)
		}
	}
	text = named.ReplaceAllString(text, "${1}"+redacted)
	text = query.ReplaceAllString(text, "?"+redacted)
	text = dense.ReplaceAllString(text, redacted)
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r != ' ' && !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?")))
}
