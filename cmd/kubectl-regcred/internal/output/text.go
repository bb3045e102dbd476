// Package output writes what the commands have found: for people, in 80 columns of ASCII, and for programs.
package output

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Width is how many columns a line has.
const Width = 80

// Clean makes text that somebody else wrote fit to be shown on a terminal: what is not printable ASCII is escaped.
func Clean(text string) string {
	var b strings.Builder
	for _, r := range text {
		if !unprintable(r) {
			b.WriteRune(r)
			continue
		}
		b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
	}
	return b.String()
}

// Cleaned cleans every text.
func Cleaned(texts []string) []string {
	clean := make([]string, len(texts))
	for i, text := range texts {
		clean[i] = Clean(text)
	}
	return clean
}

// Wrap writes cleaned text in lines of Width, the first after first and the others after as many blanks. A word that is longer than a line, such as
// an ARN, stays whole, so that it can be copied.
func Wrap(w io.Writer, first, text string) {
	wrap(w, first, strings.Repeat(" ", len(first)), text)
}

// Comment writes cleaned text as a comment of sh, YAML or Terraform, every line of it.
func Comment(w io.Writer, text string) { wrap(w, "# ", "# ", text) }

func wrap(w io.Writer, first, indent, text string) {
	line := first
	empty := true
	for word := range strings.FieldsSeq(Clean(text)) {
		if !empty && len(line)+1+len(word) > Width {
			fmt.Fprintln(w, line)
			line, empty = indent, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
	}
	fmt.Fprintln(w, strings.TrimRight(line, " "))
}

// plain are the characters that mean nothing to a shell, nor to printf.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@+=:,./_"

// Shell quotes a value for any POSIX shell, so that nothing in it is executed, in printable ASCII. $'...' would not do: dash takes it for a
// dollar sign and a word in quotes, in which \' ends the word. A newline at the end is lost, as in every command substitution.
func Shell(value string) string {
	if value != "" && strings.Trim(value, plain+"%-") == "" {
		return value
	}
	if !strings.ContainsFunc(value, unprintable) {
		return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
	}
	var b strings.Builder
	for _, c := range []byte(value) {
		if strings.IndexByte(plain, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\%03o`, c)
		}
	}
	return `"$(printf '` + b.String() + `')"`
}

// Command is a command with every argument quoted.
func Command(args ...string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = Shell(a)
	}
	return strings.Join(quoted, " ")
}

// Terraform quotes a value for Terraform, so that nothing in it is interpolated.
func Terraform(value string) string {
	var b strings.Builder
	for i, r := range value {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case (r == '$' || r == '%') && strings.HasPrefix(value[i+1:], "{"):
			b.WriteRune(r)
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		case unprintable(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return `"` + b.String() + `"`
}

// unprintable is what is not printable ASCII: controls, but also what reorders or hides text.
func unprintable(r rune) bool { return r < ' ' || r > '~' }
