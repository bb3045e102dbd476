package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// row is a scenario that was played.
type row struct {
	outcome
	name string
	took time.Duration
	err  error
}

func printTable(out io.Writer, rows []row) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "scenario\tresult\tpods\tfailed pulls\ttime\tseen")
	for _, r := range rows {
		result := "passed"
		if r.err != nil {
			result = "FAILED"
		}
		first := ""
		if len(r.notes) > 0 {
			first = r.notes[0]
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%.0f s\t%s\n", r.name, result, r.pods, r.failedPulls, r.took.Seconds(), first)
		for _, note := range r.notes[min(1, len(r.notes)):] {
			fmt.Fprintf(table, "\t\t\t\t\t%s\n", note)
		}
	}
	_ = table.Flush() // to the terminal
	fmt.Fprintln(out)
}
