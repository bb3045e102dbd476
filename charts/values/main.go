// Command values writes what is told about the charts' values: the table of README.md, and values.schema.json. It takes each value's
// meaning and default from values.yaml, and what it may be from charts/schema.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const begin, end = "<!-- values -->\n", "<!-- /values -->\n"

func main() {
	for _, chart := range []string{"regcred", "regcred-crds"} {
		if err := write(chart); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", chart, err)
			os.Exit(1)
		}
	}
}

func write(chart string) error {
	dir := filepath.Join("charts", chart)
	text, err := os.ReadFile(filepath.Join(dir, "values.yaml"))
	if err != nil {
		return err
	}
	values, err := described(string(text))
	if err != nil {
		return err
	}
	schema, err := schemaOf(filepath.Join("charts", "schema", chart+".yaml"), values)
	if err != nil {
		return err
	}
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(readme), begin)
	_, after, also := strings.Cut(rest, end)
	if !ok || !also {
		return errors.New("README.md does not say where the table goes")
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "values.schema.json"), schema, 0o600),                              //nolint:gosec // what is written goes nowhere else
		os.WriteFile(filepath.Join(dir, "README.md"), []byte(before+begin+table(values)+end+after), 0o600), //nolint:gosec // what is written goes nowhere else
	)
}
