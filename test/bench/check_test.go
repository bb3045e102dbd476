package main

import (
	"io"
	"strings"
	"testing"
)

func TestEveryBoundHasRunsThatKeepIt(t *testing.T) {
	all, err := readBounds("bounds.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for run, list := range all {
		for _, b := range list {
			if len(b.Runs) == 0 || b.AtLeast == nil && b.AtMost == nil {
				t.Errorf("%s of %s: a bound needs a limit, and the runs that it comes from", b.ID, run)
			}
			for _, value := range b.Runs {
				if b.missedBy(value) && b.Why == "" {
					t.Errorf("%s of %s: the run of %v misses %s, and nothing says why the bound stands", b.ID, run, value, b)
				}
			}
		}
	}
}

func TestAMissedBoundIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		value float64
		want  string
	}{
		"kept":   {0.9, ""},
		"missed": {0.4, "rotation-effort-ratio is 0.4"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &report{}
			s := r.section("all")
			all, err := readBounds("bounds.yaml")
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range all["1000 namespaces"] {
				s.add(figure{ID: b.ID, Value: b.Runs[0]})
				if b.ID == "rotation-effort-ratio" {
					s.Figures[len(s.Figures)-1].Value = c.value
				}
			}
			err = r.check(io.Discard, "bounds.yaml", "1000 namespaces")
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
