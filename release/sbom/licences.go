package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

const noAssertion = "NOASSERTION"

// A licence's text makes up most of its file; below that, something else is in it that a person should read.
const enoughOfTheFile = 75

var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying)([-.].*)?$`)

// licencesOf are the SPDX expressions of the modules in the binaries, by path, from the texts that lie in the module cache.
func licencesOf(ctx context.Context, binaries []binary) (map[string]string, error) {
	var paths []string
	for _, b := range binaries {
		paths = append(paths, b.main)
		for _, m := range b.modules {
			paths = append(paths, m.Path)
		}
	}
	slices.Sort(paths)
	arguments := append([]string{"list", "-m", "-f", "{{.Path}}\t{{.Dir}}"}, slices.Compact(paths)...)
	list := exec.CommandContext(ctx, "go", arguments...) //nolint:gosec // the paths are those of the modules that were built here
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list -m: %w", err)
	}
	licences := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, dir, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if licences[path], err = licenceIn(dir); err != nil {
			return nil, fmt.Errorf("licence of %s: %w", path, err)
		}
	}
	return licences, nil
}

func licenceIn(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	var found []string
	for _, e := range entries {
		if e.IsDir() || filepath.Ext(e.Name()) == ".go" || !licenceFile.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return "", err
		}
		found = append(found, licencesIn(text)...)
	}
	slices.Sort(found)
	if found = slices.Compact(found); len(found) == 0 || slices.Contains(found, noAssertion) {
		return noAssertion, nil
	}
	return strings.Join(found, " AND "), nil
}

func licencesIn(text []byte) []string {
	cover := licensecheck.Scan(text)
	if cover.Percent < enoughOfTheFile {
		return []string{noAssertion}
	}
	var found []string
	for _, m := range cover.Match {
		if !m.IsURL {
			found = append(found, m.ID)
		}
	}
	return found
}
