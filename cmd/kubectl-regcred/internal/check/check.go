// Package check is how the commands tell what they have looked at, one thing after the other.
package check

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// Check is one thing that was looked at.
type Check struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	Text  string `json:"text,omitempty"`
	// Command is how somebody else was asked; empty where nobody was.
	Command string `json:"command,omitempty"`
}

// State is how it stands.
type State string

// The states.
const (
	Good State = "ok"
	Bad  State = "bad"
	// Note is neither good nor bad, and worth knowing.
	Note State = "note"
	// Unknown could not be looked at.
	Unknown State = "unknown"
)

// Checks are in the order in which things were looked at.
type Checks []Check

// Add adds a check.
func (c *Checks) Add(name string, state State, format string, args ...any) {
	*c = append(*c, Check{Name: name, State: state, Text: fmt.Sprintf(format, args...)})
}

// Has says whether something stands so.
func (c Checks) Has(state State) bool {
	return slices.ContainsFunc(c, func(one Check) bool { return one.State == state })
}

// marks are the states for people, in three columns.
var marks = map[State]struct {
	text   string
	colour output.Colour
}{Good: {"ok ", output.Green}, Bad: {"bad", output.Red}, Note: {"-  ", output.Yellow}, Unknown: {"?  ", output.Yellow}}

// Write writes the checks for people, each line after the indent.
func (c Checks) Write(w io.Writer, style output.Style, indent string) {
	for _, one := range c {
		mark := marks[one.State]
		var lines strings.Builder
		output.Wrap(&lines, indent+mark.text+" "+output.Clean(one.Name)+": ", one.Text)
		fmt.Fprint(w, indent+style.Paint(mark.colour, mark.text)+strings.TrimPrefix(lines.String(), indent+mark.text))
	}
}
