package output

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

func TestBar(t *testing.T) {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	to := from.Add(10 * time.Hour)
	for left, want := range map[time.Duration]string{
		11 * time.Hour: "[##########]", 10 * time.Hour: "[##########]", 5 * time.Hour: "[#####-----]",
		time.Minute: "[#---------]", 0: "[----------]", -time.Hour: "[----------]",
	} {
		if got := Bar(from, to, to.Add(-left), 10); got != want {
			t.Errorf("with %s left: %s, want %s", left, got, want)
		}
	}
	if got := Bar(to, to, from, 4); got != "[----]" {
		t.Errorf("no life at all: %s", got)
	}
}

func TestColourIsForTerminalsOnly(t *testing.T) {
	if StyleOf(&bytes.Buffer{}, func(string) string { return "" }).coloured {
		t.Error("a buffer is no terminal")
	}
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	})
	if IsTerminal(file) {
		t.Error("a file is no terminal")
	}
	if got := (Style{}).Paint(Red, "x"); got != "x" {
		t.Errorf("%q", got)
	}
	if got := (Style{coloured: true}).Paint(Red, "x"); got != "\x1b[31mx\x1b[0m" {
		t.Errorf("%q", got)
	}
}

func TestTableAlignsAndCleans(t *testing.T) {
	rows := Rows{Paint: func(_ []string, column int) Colour { return []Colour{Plain, Red}[column] }}
	rows.Add("NAME", "READY")
	rows.Add("a\x1b", "False")
	var b bytes.Buffer
	rows.Write(&b, Style{coloured: true}, "  ")
	if want := "  NAME    READY\n  a\\x1b   \x1b[31mFalse\x1b[0m\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestFormat(t *testing.T) {
	f := NewFormat("sarif")
	if err := f.Set("xml"); err == nil || !strings.Contains(err.Error(), "table, wide, json, yaml, sarif") {
		t.Errorf("an unknown format: %v", err)
	}
	for name, want := range map[string]string{JSON: "{\n  \"a\": \"<b>\"\n}\n", YAML: "a: <b>\n"} {
		if err := f.Set(name); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := f.Write(&b, map[string]string{"a": "<b>"}, nil); err != nil || b.String() != want {
			t.Errorf("%s: %q, %v", name, b.String(), err)
		}
	}
}
