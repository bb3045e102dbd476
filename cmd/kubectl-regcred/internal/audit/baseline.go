package audit

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// baseline is what is known, so that only what is new counts.
type baseline struct {
	Fingerprints []string `json:"fingerprints"`
}

func readBaseline(path string) (baseline, error) {
	var b baseline
	raw, err := os.ReadFile(path)
	if err != nil {
		return b, fmt.Errorf("--baseline: %w", err)
	}
	if json.Unmarshal(raw, &b) != nil || b.Fingerprints == nil {
		return b, fmt.Errorf("%s is no baseline: audit --write-baseline writes one", path)
	}
	return b, nil
}

// writeBaseline writes what has been found.
func writeBaseline(path string, findings []Finding, force bool) error {
	b := baseline{Fingerprints: []string{}}
	for i := range findings {
		b.Fingerprints = append(b.Fingerprints, findings[i].Fingerprint())
	}
	raw, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	return output.WriteFile(path, append(raw, '\n'), force)
}

// hold keeps back what is in the baseline and what is to be ignored: CODE, CODE:NAMESPACE or CODE:NAMESPACE/NAME.
func hold(findings []Finding, b baseline, ignored []string) []Finding {
	return slices.DeleteFunc(findings, func(f Finding) bool {
		return slices.Contains(b.Fingerprints, f.Fingerprint()) || slices.ContainsFunc(ignored, func(rule string) bool { return covers(rule, f) })
	})
}

func covers(rule string, f Finding) bool {
	code, where, narrow := strings.Cut(rule, ":")
	if code != f.Code && code != f.Title {
		return false
	}
	return !narrow || where == f.Namespace || where == f.Namespace+"/"+f.Name
}

func checkIgnored(ignored []string) error {
	for _, rule := range ignored {
		code, _, _ := strings.Cut(rule, ":")
		if !slices.ContainsFunc(Codes, func(c Code) bool { return c.ID == code || c.Name == code }) {
			return fmt.Errorf("--ignore: there is no code %q", code)
		}
	}
	return nil
}
