package output

import (
	"bytes"
	"encoding/json"
	"fmt"

	"sigs.k8s.io/yaml"
)

// Manifest writes an object as YAML in ASCII. One with other characters, such as those that reorder text, is written as JSON, where all of them are in quotes and can
// be escaped: it is YAML, too.
func Manifest(o any) ([]byte, error) {
	raw, err := yaml.Marshal(o)
	if err != nil || bytes.IndexFunc(raw, func(r rune) bool { return r != '\n' && unprintable(r) }) < 0 {
		return raw, err
	}
	if raw, err = json.Marshal(o); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, r := range string(raw) {
		switch {
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		case unprintable(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}
