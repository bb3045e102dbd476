package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// bound is what a figure may be at most, or must be at least, and the runs that it comes from. Bounds are ratios within a run, counts and
// bytes: times alone are those of a machine.
type bound struct {
	ID string `json:"id"`
	// What the figure is, for the table.
	What    string   `json:"what"`
	AtMost  *float64 `json:"atMost,omitempty"`
	AtLeast *float64 `json:"atLeast,omitempty"`
	// Goal is what the figure is to be, if that is not the bound.
	Goal *float64 `json:"goal,omitempty"`
	// Runs are what was measured when the bound was set.
	Runs []float64 `json:"runs"`
	// Why is for a bound that does not follow from its runs.
	Why string `json:"why,omitempty"`
}

// bounds are by the name of the run.
type bounds map[string][]bound

func readBounds(file string) (bounds, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var b bounds
	if err := yaml.UnmarshalStrict(raw, &b); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return b, nil
}

// check compares the figures with the bounds, and fails if one is missed or has no figure.
func (r *report) check(w io.Writer, file, run string) error {
	all, err := readBounds(file)
	if err != nil {
		return err
	}
	figures := r.figures()
	fmt.Fprintf(w, "\nBounds of %s for %s\n", file, run)
	var missed []error
	for _, b := range all[run] {
		f, ok := figures[b.ID]
		verdict := "pass"
		if !ok || b.missedBy(f.Value) {
			verdict = "MISS"
			missed = append(missed, fmt.Errorf("%s is %s, want %s (runs so far: %s)", b.ID, number(f.Value), b, each(b.Runs, 2)))
		}
		fmt.Fprintf(w, "  %s %s  %s %s\n", padded(b.ID, -24), padded(number(f.Value), 9), padded(b.String(), -12), verdict)
	}
	if len(all[run]) == 0 {
		return fmt.Errorf("%s has no bounds for %s", file, run)
	}
	return errors.Join(missed...)
}

// figures are those of all sections, by ID.
func (r *report) figures() map[string]figure {
	all := map[string]figure{}
	for _, s := range r.Sections {
		for _, f := range s.Figures {
			all[f.ID] = f
		}
	}
	return all
}

func (b bound) missedBy(value float64) bool {
	return b.AtMost != nil && value > *b.AtMost || b.AtLeast != nil && value < *b.AtLeast
}

func (b bound) String() string {
	var words []string
	if b.AtLeast != nil {
		words = append(words, "≥ "+number(*b.AtLeast))
	}
	if b.AtMost != nil {
		words = append(words, "≤ "+number(*b.AtMost))
	}
	return strings.Join(words, " ")
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
