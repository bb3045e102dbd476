package output

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Rows are the rows of a table. Its cells are cleaned, and the last one of a row may be as long as it likes.
type Rows struct {
	cells [][]string
	// Paint colours the cells of a row that is not the header; nil for no colour. It gets cleaned text.
	Paint func(row []string, column int) Colour
}

// Add adds a row. The first is the header.
func (r *Rows) Add(cells ...string) {
	r.cells = append(r.cells, Cleaned(cells))
}

// Len is how many rows there are below the header.
func (r *Rows) Len() int { return max(0, len(r.cells)-1) }

// Write writes the rows with their columns aligned, each line after the indent.
func (r *Rows) Write(w io.Writer, style Style, indent string) {
	var widths []int
	for _, row := range r.cells {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range r.cells {
		var b strings.Builder
		b.WriteString(indent)
		for i, cell := range row {
			colour := Plain
			if n > 0 && r.Paint != nil {
				colour = r.Paint(row, i)
			}
			b.WriteString(style.Paint(colour, cell))
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+3))
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

// Line writes a line.
func Line(w io.Writer, text string) { fmt.Fprintln(w, text) }

// Number writes a number.
func Number(n int) string { return strconv.Itoa(n) }

// Count writes a number of things.
func Count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return Number(n) + " " + thing
}
