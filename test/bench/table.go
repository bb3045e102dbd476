package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// printTable prints what earlier runs have measured of what is bounded, as a table of Markdown.
func printTable(w io.Writer, directory, boundsFile string) error {
	all, err := readBounds(boundsFile)
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(directory, "*.json"))
	if err != nil {
		return err
	}
	measured := map[string]map[string]figure{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var r report
		if err := json.Unmarshal(raw, &r); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		measured[r.Run] = r.figures()
	}
	if len(measured) == 0 {
		return errors.New(directory + " has no run: measure with -json")
	}
	fmt.Fprintln(w, "| | measured | bound | goal |\n|---|---|---|---|")
	for _, run := range slices.Sorted(maps.Keys(measured)) {
		if len(all[run]) == 0 {
			continue
		}
		fmt.Fprintf(w, "| **%s** | | | |\n", run)
		for _, b := range all[run] {
			fmt.Fprintln(w, b.row(measured[run]))
		}
	}
	return nil
}

// row is a bound's line of the table. What misses its bound is bold.
func (b bound) row(measured map[string]figure) string {
	value := "not measured"
	if f, ok := measured[b.ID]; ok {
		if value = rounded(f.Value) + f.Unit; b.missedBy(f.Value) {
			value = "**" + value + "**"
		}
	}
	goal := ""
	if b.Goal != nil {
		goal = rounded(*b.Goal)
	}
	return fmt.Sprintf("| %s | %s | %s | %s |", b.What, value, b, goal)
}

// rounded shows as many digits as a run repeats.
func rounded(x float64) string {
	switch {
	case x == float64(int64(x)):
		return fmt.Sprintf("%.0f", x)
	case x < 0.01:
		return fmt.Sprintf("%.4f", x)
	case x < 10:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.1f", x)
}
