package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"
)

// report is what was measured, in the order of measuring.
type report struct {
	// Run is what was measured, as bounds name it.
	Run      string     `json:"run"`
	Sections []*section `json:"sections"`
	// Broken are the sentences of what must hold on any machine and does not.
	Broken []string `json:"broken,omitempty"`
}

type section struct {
	Title   string   `json:"title"`
	Figures []figure `json:"figures"`
	Table   *table   `json:"table,omitempty"`
	// Lists are what a figure counts, item by item.
	Lists []list `json:"lists,omitempty"`
}

type table struct {
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
}

type list struct {
	Title string   `json:"title"`
	Items []string `json:"items"`
}

type figure struct {
	ID     string  `json:"id"`
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit,omitempty"`
	Digits int     `json:"-"`
	Target target  `json:"target,omitzero"`
	Note   string  `json:"note,omitempty"`
}

// target is what the figure should be. The zero value is a figure without one.
type target struct {
	Relation string  `json:"relation"`
	Bound    float64 `json:"bound"`
}

func atLeast(x float64) target { return target{"≥", x} }
func atMost(x float64) target  { return target{"≤", x} }
func exactly(x float64) target { return target{"=", x} }

func (t target) missedBy(value float64) bool {
	switch t.Relation {
	case "≥":
		return value < t.Bound
	case "≤":
		return value > t.Bound
	case "=":
		return value != t.Bound
	}
	return false
}

func (r *report) section(title string) *section {
	s := &section{Title: title}
	r.Sections = append(r.Sections, s)
	return s
}

func (s *section) add(f figure) { s.Figures = append(s.Figures, f) }

func (s *section) list(title string, t tally) {
	s.Lists = append(s.Lists, list{Title: title, Items: t.lines()})
}

// must takes note of what does not hold.
func (r *report) must(holds bool, format string, args ...any) {
	if !holds {
		r.Broken = append(r.Broken, fmt.Sprintf(format, args...))
	}
}

// broken is the error of what must hold and does not.
func (r *report) broken() error {
	errs := make([]error, len(r.Broken))
	for i, sentence := range r.Broken {
		errs[i] = errors.New(sentence)
	}
	return errors.Join(errs...)
}

func (r *report) missed() int {
	missed := 0
	for _, s := range r.Sections {
		for _, f := range s.Figures {
			if f.Target.missedBy(f.Value) {
				missed++
			}
		}
	}
	return missed
}

func (r *report) print(w io.Writer) {
	row := func(name, value, target, verdict, note string) {
		fmt.Fprintf(w, "  %s %s  %s %s %s\n", padded(name, -34), padded(value, 11), padded(target, -12), padded(verdict, -5), note)
	}
	for _, s := range r.Sections {
		fmt.Fprintf(w, "\n%s\n", s.Title)
		for _, f := range s.Figures {
			goal, verdict := "", ""
			if f.Target != (target{}) {
				goal = f.Target.Relation + " " + strconv.FormatFloat(f.Target.Bound, 'f', -1, 64) + f.Unit
				verdict = "pass"
				if f.Target.missedBy(f.Value) {
					verdict = "MISS"
				}
			}
			row(f.Name, strconv.FormatFloat(f.Value, 'f', f.Digits, 64)+f.Unit, goal, verdict, f.Note)
		}
		if s.Table != nil {
			s.Table.print(w)
		}
		for _, l := range s.Lists {
			fmt.Fprintf(w, "  %s:\n", l.Title)
			for _, item := range l.Items {
				fmt.Fprintf(w, "    %s\n", item)
			}
		}
	}
	fmt.Fprintf(w, "\n%s\n", quotedTitle)
	for _, q := range quoted {
		row(q.name, q.value, "", "", "")
	}
	fmt.Fprintf(w, "\n%d targets missed\n", r.missed())
}

// print gives every column the width of its widest cell.
func (t *table) print(w io.Writer) {
	rows := append([][]string{t.Columns}, t.Rows...)
	widths := make([]int, len(t.Columns))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = padded(cell, -widths[i])
		}
		fmt.Fprintln(w, strings.TrimRight("  "+strings.Join(cells, "  "), " "))
	}
}

// padded fills with blanks on the left, or on the right if width is negative; fmt counts bytes of what is not ASCII.
func padded(s string, width int) string {
	fill := fmt.Sprintf("%*s", max(0, max(width, -width)-utf8.RuneCountInString(s)), "")
	if width < 0 {
		return s + fill
	}
	return fill + s
}

func (r *report) write(file string) error {
	out, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(out, '\n'), 0o644)
}

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// quoted is what was published for External Secrets Operator; it is printed for comparison and not measured here.
const quotedTitle = "Quoted, not measured here: External Secrets Operator v2.9.0 on a machine of 2 cores, one ECR generator, --concurrent=50 --client-qps=1000; 1,000 namespaces, latencies with 100"

var quoted = []struct{ name, value string }{
	{"first fan-out", "28 /s"},
	{"cloud calls", "1542"},
	{"CPU per Secret", "19.9 ms"},
	{"RSS", "731 MB"},
	{"object created → Secret, p50", "25.6 ms"},
	{"object created → Secret, p99", "41.8 ms"},
	{"namespace created → Secret, p50", "46.9 ms"},
	{"namespace created → Secret, p99", "96.1 ms"},
}
