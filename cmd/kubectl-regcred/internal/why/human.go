package why

import (
	"fmt"
	"io"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

var colours = map[Result]output.Colour{Works: output.Green, Fails: output.Red, Undecided: output.Yellow}

// write writes the report for people: each pull with its chain or, of many, what they have in common.
func write(w io.Writer, style output.Style, r *Report, chains bool) {
	switch {
	case len(r.Pulls) > 0:
	case len(r.NotRead) > 0:
		fmt.Fprintln(w, "No pod that you may read waits for an image.")
	default:
		fmt.Fprintln(w, "No pod waits for an image.")
	}
	if chains {
		for i := range r.Pulls {
			p := &r.Pulls[i]
			p.head(w, style, i > 0)
			output.Wrap(w, "  ", p.Note)
			output.Wrap(w, "  who: ", short(p.Who)+" in namespace "+p.Namespace)
			p.Chain.Write(w, style, "  ")
		}
	} else {
		for i, g := range byCause(r.Pulls) {
			g.head(w, style, i > 0)
			g.write(w)
		}
	}
	for _, gap := range r.NotRead {
		output.Wrap(w, "", gap)
	}
}

func (p *Pull) head(w io.Writer, style output.Style, apart bool) {
	if apart {
		fmt.Fprintln(w)
	}
	head := string(p.Result)
	if p.Cause != "" {
		head += ": " + p.Cause
	}
	fmt.Fprintln(w, style.Paint(colours[p.Result], output.Clean(head)))
}

func (g *group) write(w io.Writer) {
	note := g.Note
	if g.several {
		note = "for example: " + note
	}
	output.Wrap(w, "  ", note)
	if len(g.namespaces) == 1 {
		output.Wrap(w, "  who: ", short(g.who)+" in namespace "+g.Namespace)
	} else {
		output.Wrap(w, "  who: ", output.Count(len(g.who), "pod")+" in namespaces "+short(g.namespaces))
	}
	output.Wrap(w, "  image: ", short(g.images))
	if g.several {
		output.Wrap(w, "  ", "-o wide shows each")
	}
}
