package audit

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

type suite struct {
	Name     string     `xml:"name,attr"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Errors   int        `xml:"errors,attr"`
	Skipped  int        `xml:"skipped,attr"`
	Cases    []testcase `xml:"testcase"`
}

type testcase struct {
	Name    string   `xml:"name,attr"`
	Class   string   `xml:"classname,attr"`
	Failure *outcome `xml:"failure,omitempty"`
	Error   *outcome `xml:"error,omitempty"`
	Skipped *outcome `xml:"skipped,omitempty"`
}

type outcome struct {
	Type    string `xml:"type,attr,omitempty"`
	Message string `xml:"message,attr"`
}

func (s *suite) add(c testcase) {
	s.Cases, s.Tests = append(s.Cases, c), s.Tests+1
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
}

// junit writes the report for what shows tests: each code is a suite, and each finding a failure in it. What could not be read is an error.
func (r *Report) junit(w io.Writer) error {
	all := struct {
		XMLName xml.Name `xml:"testsuites"`
		Suites  []suite  `xml:"testsuite"`
	}{}
	for _, c := range Codes {
		s := suite{Name: c.ID + " " + c.Name}
		for i := range r.Findings {
			if f := &r.Findings[i]; f.Code == c.ID {
				s.add(testcase{Name: output.Clean(f.Where()), Class: c.ID, Failure: &outcome{string(f.Severity), output.Clean(f.Message)}})
			}
		}
		if s.Tests == 0 {
			s.add(testcase{Name: c.Says, Class: c.ID})
		}
		all.Suites = append(all.Suites, s)
	}
	if s := r.gaps(); s.Tests > 0 {
		all.Suites = append(all.Suites, s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// gaps is the suite of what was not looked at, or is not told.
func (r *Report) gaps() suite {
	const class = "gaps"
	s := suite{Name: "not read or not told"}
	for _, gap := range r.NotRead {
		s.add(testcase{Name: output.Clean(gap), Class: class, Error: &outcome{"not read", output.Clean(gap)}})
	}
	for _, gap := range r.Skipped {
		s.add(testcase{Name: output.Clean(gap), Class: class, Skipped: &outcome{Message: output.Clean(gap)}})
	}
	if r.Known > 0 {
		s.add(testcase{Name: "findings of the baseline or of --ignore", Class: class, Skipped: &outcome{Message: r.known()}})
	}
	return s
}

// levels are the severities as SARIF calls them.
var levels = map[Severity]string{Info: "note", Warning: "warning", Error: "error"}

// sarif writes the report in the Static Analysis Results Interchange Format 2.1.0, which code hosts show.
func (r *Report) sarif(w io.Writer, version string) error {
	type object = map[string]any
	rules, results := []object{}, []object{}
	for _, c := range Codes {
		rules = append(rules, object{"id": c.ID, "name": c.Name, "helpUri": c.Docs(), "shortDescription": object{"text": c.Says},
			"defaultConfiguration": object{"level": levels[c.Severity]}})
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		results = append(results, object{
			"ruleId": f.Code, "level": levels[f.Severity], "message": object{"text": output.Clean(f.Where() + ": " + f.Message)},
			"partialFingerprints": object{"regcred/v1": f.Fingerprint()},
			"locations": []object{{"logicalLocations": []object{{
				"kind": "resource", "name": f.Name, "fullyQualifiedName": strings.Trim(f.Namespace+"/"+f.Kind+"/"+f.Name, "/"),
			}}}},
		})
	}
	notifications := []object{}
	notify := func(level, text string) {
		notifications = append(notifications, object{"level": level, "message": object{"text": output.Clean(text)}})
	}
	for _, gap := range r.NotRead {
		notify("error", gap)
	}
	for _, gap := range r.Skipped {
		notify("note", gap)
	}
	if r.Known > 0 {
		notify("note", r.known())
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(object{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
		"runs": []object{{
			"tool": object{"driver": object{"name": "kubectl-regcred", "version": version, "informationUri": "https://github.com/regcred/regcred", "rules": rules}},
			"invocations": []object{{
				"executionSuccessful": len(r.NotRead) == 0, "toolExecutionNotifications": notifications,
			}},
			"results": results,
		}},
	})
}
