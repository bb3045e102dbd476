package why

import (
	"fmt"
	"io"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

var colours = map[Result]output.Colour{Works: output.Green, Fails: output.Red, Undecided: output.Yellow}

// write writes the report for people. Of many pulls it shows no chains, unless it is asked to.
func write(w io.Writer, style output.Style, r *Report, chains bool) {
	switch {
	case len(r.Pulls) > 0:
	case len(r.NotRead) > 0:
		fmt.Fprintln(w, "No pod that you may read waits for an image.")
	default:
		fmt.Fprintln(w, "No pod waits for an image.")
	}
	for i := range r.Pulls {
		p := &r.Pulls[i]
		if i > 0 {
			fmt.Fprintln(w)
		}
		head := string(p.Result)
		if p.Cause != "" {
			head += ": " + p.Cause
		}
		fmt.Fprintln(w, style.Paint(colours[p.Result], output.Clean(head)))
		output.Wrap(w, "  ", p.Note)
		output.Wrap(w, "  who: ", fmt.Sprintf("%s in namespace %s", short(p.Who), p.Namespace))
		if !chains {
			output.Wrap(w, "  image: ", p.Image)
			continue
		}
		p.Chain.Write(w, style, "  ")
	}
	for _, gap := range r.NotRead {
		output.Wrap(w, "", gap)
	}
}
