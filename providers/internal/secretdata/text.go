// Package secretdata reads what people have put into Secrets: with the line end that an editor or echo leaves, and sometimes with what
// nobody typed and nobody sees.
package secretdata

import (
	"strings"
	"unicode/utf8"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

const byteOrderMark = "\ufeff"

// Line is the value of a key that holds one line, without the line end after it; empty if there is none. It refuses what cannot be part
// of a credential, lest it is sent, and refused by somebody who cannot say why. Its errors name the key and the fault, never the value.
func Line(secret *providers.Secret, data map[string][]byte, key string) (string, error) {
	text := unended(string(data[key]))
	if fault := faultIn(text, false); fault != "" {
		return "", invalid(secret, key, fault)
	}
	return text, nil
}

// Document is the value of a key that holds text of several lines, such as JSON or PEM.
func Document(secret *providers.Secret, data map[string][]byte, key string) ([]byte, error) {
	if fault := faultIn(string(data[key]), true); fault != "" {
		return nil, invalid(secret, key, fault)
	}
	return data[key], nil
}

// Fault says in words what is in a part of a document that no credential has; empty if it is sound. One line end is taken off before.
func Fault(part string) (sound, fault string) {
	sound = unended(part)
	return sound, faultIn(sound, false)
}

// unended takes one line end off.
func unended(text string) string {
	if cut, ok := strings.CutSuffix(text, "\n"); ok {
		return strings.TrimSuffix(cut, "\r")
	}
	return strings.TrimSuffix(text, "\r")
}

// faultIn looks for the encodings of other systems before single characters: UTF-16 is full of NUL.
func faultIn(text string, lines bool) string {
	switch {
	case strings.HasPrefix(text, "\xff\xfe"), strings.HasPrefix(text, "\xfe\xff"):
		return "is in UTF-16: save it as UTF-8"
	case strings.Contains(text, byteOrderMark):
		return "has a byte order mark, as some editors of Windows write it: save it as UTF-8 without"
	case !utf8.ValidString(text):
		return "is not UTF-8: check that it is not in base64 twice, compressed or in another encoding"
	case strings.Contains(text, "\x00"):
		return "has a NUL character, as text in UTF-16 does: save it as UTF-8"
	case !lines && strings.ContainsAny(text, "\r\n"):
		return "has more than one line: write it in one"
	case strings.ContainsFunc(text, func(r rune) bool { return isControl(r) && (!lines || !strings.ContainsRune("\n\r\t", r)) }):
		return "has a control character: remove it"
	default:
		return ""
	}
}

func isControl(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }

func invalid(secret *providers.Secret, key, fault string) *providers.Error {
	return providers.Errorf(v1alpha1.ReasonIdentityInvalid, "the key %s of %s %s", key, secret, fault)
}
