package output

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Format is how a report is written: the value of --output.
type Format struct {
	name    string
	allowed []string
}

// The formats that every command knows.
const (
	Table = "table"
	Wide  = "wide"
	JSON  = "json"
	YAML  = "yaml"
)

// NewFormat is a table unless it is set to something else: to one of those that every command knows, or to one of more.
func NewFormat(more ...string) *Format {
	return &Format{name: Table, allowed: append([]string{Table, Wide, JSON, YAML}, more...)}
}

func (f *Format) String() string { return f.name }

// Set implements pflag.Value.
func (f *Format) Set(name string) error {
	if !slices.Contains(f.allowed, name) {
		return fmt.Errorf("must be one of %s", strings.Join(f.allowed, ", "))
	}
	f.name = name
	return nil
}

// Type implements pflag.Value.
func (f *Format) Type() string { return "string" }

// Allowed are the names that Set takes.
func (f *Format) Allowed() []string { return f.allowed }

// Wide says whether people ask for more columns.
func (f *Format) Wide() bool { return f.name == Wide }

// Is says whether it is the format of this name.
func (f *Format) Is(name string) bool { return f.name == name }

// Write writes the report as JSON or YAML, or else as human does.
func (f *Format) Write(w io.Writer, report any, human func(io.Writer) error) error {
	switch f.name {
	case JSON:
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(report)
	case YAML:
		raw, err := yaml.Marshal(report)
		if err != nil {
			return err
		}
		_, err = w.Write(raw)
		return err
	default:
		return human(w)
	}
}
