// Package doctor looks at how Regcred is installed and at whether it works. It creates nothing.
package doctor

import (
	"fmt"
	"io"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// Report is what the command prints.
type Report struct {
	Checks []Check `json:"checks"`
}

// Check is one thing that was looked at.
type Check struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	Text  string `json:"text"`
}

// State is how it stands.
type State string

// The states.
const (
	Good       State = "ok"
	Bad        State = "bad"
	Note       State = "note"
	NotChecked State = "not checked"
)

func (r *Report) add(name string, state State, format string, args ...any) {
	r.Checks = append(r.Checks, Check{name, state, fmt.Sprintf(format, args...)})
}

// unread adds what could not be looked at.
func (r *Report) unread(name, resource, verb string) {
	r.add(name, NotChecked, "not checked (needs the right to %s %s)", verb, resource)
}

var colours = map[State]output.Colour{Good: output.Green, Bad: output.Red, Note: output.Yellow, NotChecked: output.Yellow}

var marks = map[State]string{Good: "ok ", Bad: "bad", Note: "-  ", NotChecked: "?  "}

func (r *Report) write(w io.Writer, style output.Style) {
	for _, c := range r.Checks {
		output.Wrap(paint{w, style, colours[c.State]}, marks[c.State]+" "+c.Name+": ", c.Text)
	}
}

// paint colours lines.
type paint struct {
	w     io.Writer
	style output.Style
	c     output.Colour
}

func (p paint) Write(line []byte) (int, error) {
	text := string(line)
	if n := len(text); n > 3 && text[:3] != "   " {
		text = p.style.Paint(p.c, text[:3]) + text[3:]
	}
	if _, err := io.WriteString(p.w, text); err != nil {
		return 0, err
	}
	return len(line), nil
}
