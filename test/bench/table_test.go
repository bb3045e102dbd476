package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestTheTableShowsEveryBoundBesideWhatWasMeasured(t *testing.T) {
	directory := t.TempDir()
	if err := printTable(&strings.Builder{}, directory, "bounds.yaml"); err == nil {
		t.Error("no run at all is no error")
	}
	r := &report{Run: "1000 namespaces"}
	r.section("").add(figure{ID: "rotation-calls", Value: 2})
	r.section("").add(figure{ID: "rss-anon", Value: 19.25, Unit: " MiB"})
	if err := r.write(filepath.Join(directory, "1000.json")); err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	if err := printTable(&table, directory, "bounds.yaml"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| **1000 namespaces** |", "| **2** | ≤ 1 |", "| 19.2 MiB | ≤ ", "| not measured |"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("%q is not in the table:\n%s", want, &table)
		}
	}
	all, err := readBounds("bounds.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for run, list := range all {
		for _, b := range list {
			if b.What == "" {
				t.Errorf("%s of %s: the table does not say what it is", b.ID, run)
			}
		}
	}
}
