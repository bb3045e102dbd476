package audit

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// Report is what the command prints.
type Report struct {
	Findings []Finding `json:"findings"`
	Secrets  []Secret  `json:"secrets"`
	// Known is how many findings the baseline and --ignore hold back.
	Known   int      `json:"known,omitempty"`
	NotRead []string `json:"notRead,omitempty"`
	// Skipped are documents of --from that are no objects of Kubernetes.
	Skipped []string `json:"skipped,omitempty"`
}

// Secret is a pull Secret, without what must not be shown.
type Secret struct {
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Registry  []string `json:"registries"`
	// Keeper is the credential that keeps it.
	Keeper    string       `json:"keptBy,omitempty"`
	CreatedAt metav1.Time  `json:"createdAt,omitzero"`
	ExpiresAt *metav1.Time `json:"expiresAt,omitempty"`
	// Used is how many ServiceAccounts and workloads name it. Others may use it, too.
	Used int `json:"namedBy"`
	// Users are the first of them.
	Users []string `json:"users,omitempty"`
}

// mostUsers is how many of those who name a Secret are named.
const mostUsers = 3

// users are the ServiceAccounts and workloads that name a Secret, in order.
func (i *inventory) users() map[types.NamespacedName][]string {
	users := map[types.NamespacedName][]string{}
	name := func(namespace, user string, secrets []string) {
		for _, secret := range slices.Compact(slices.Sorted(slices.Values(secrets))) {
			at := types.NamespacedName{Namespace: namespace, Name: secret}
			users[at] = append(users[at], user)
		}
	}
	for at, linked := range i.accounts {
		name(at.Namespace, "serviceaccount/"+at.Name, linked)
	}
	for _, w := range i.workloads {
		name(w.namespace, strings.ToLower(w.kind)+"/"+w.name, w.secrets)
	}
	for _, all := range users {
		slices.Sort(all)
	}
	return users
}

// list describes the pull Secrets, in order.
func (i *inventory) list() []Secret {
	used := i.users()
	all := []Secret{}
	for at, s := range i.secrets {
		described := Secret{Namespace: at.Namespace, Name: at.Name, Registry: s.config.Keys(), Keeper: s.keeper(), CreatedAt: s.CreationTimestamp,
			Used: len(used[at]), Users: used[at][:min(mostUsers, len(used[at]))]}
		for _, l := range s.config {
			if !l.ExpiresAt.IsZero() && (described.ExpiresAt == nil || l.ExpiresAt.Before(described.ExpiresAt.Time)) {
				described.ExpiresAt = &metav1.Time{Time: l.ExpiresAt.UTC()}
			}
		}
		all = append(all, described)
	}
	slices.SortFunc(all, func(a, b Secret) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	return all
}

var colours = map[Severity]output.Colour{Error: output.Red, Warning: output.Yellow}

// human writes the report for people.
func (r *Report) human(w io.Writer, style output.Style, wide bool, now time.Time) {
	for i := range r.Findings {
		f := &r.Findings[i]
		output.Line(w, style.Paint(colours[f.Severity], f.Code+" "+string(f.Severity))+" "+output.Clean(f.Where()))
		output.Wrap(w, "  ", f.Message)
	}
	if wide {
		r.table(w, now)
	}
	output.Line(w, output.Count(len(r.Secrets), "pull Secret")+", "+output.Count(len(r.Findings), "finding")+r.held())
	if len(r.Findings) > 0 {
		output.Line(w, "The codes: https://github.com/regcred/regcred/blob/main/docs/audit-codes.md")
	}
	for _, gap := range slices.Concat(r.NotRead, r.Skipped) {
		output.Wrap(w, "", gap)
	}
}

func (r *Report) held() string {
	if r.Known == 0 {
		return ""
	}
	return ", " + output.Number(r.Known) + " known or ignored"
}

func (r *Report) table(w io.Writer, now time.Time) {
	var rows output.Rows
	rows.Add("NAMESPACE", "SECRET", "KEPT BY", "AGE", "EXPIRES", "NAMED BY", "REGISTRIES")
	for _, s := range r.Secrets {
		age, expires, keeper := "-", "-", s.Keeper
		if !s.CreatedAt.IsZero() {
			age = output.Span(now.Sub(s.CreatedAt.Time))
		}
		if s.ExpiresAt != nil {
			expires = output.In(s.ExpiresAt.Time, now)
		}
		if keeper == "" {
			keeper = "-"
		}
		rows.Add(s.Namespace, s.Name, keeper, age, expires, s.namedBy(), strings.Join(s.Registry, ","))
	}
	rows.Write(w, output.Style{}, "")
}

// namedBy are those who name a Secret: how many, and the first of them.
func (s *Secret) namedBy() string {
	text := output.Number(s.Used)
	if len(s.Users) > 0 {
		text += ": " + strings.Join(s.Users, ",")
	}
	if s.Used > len(s.Users) {
		text += ",..."
	}
	return text
}

// junit writes the report for what shows tests: each code is a suite, and each finding a failure in it.
func (r *Report) junit(w io.Writer) error {
	type failure struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
	}
	type testcase struct {
		Name    string   `xml:"name,attr"`
		Class   string   `xml:"classname,attr"`
		Failure *failure `xml:"failure,omitempty"`
	}
	type suite struct {
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Cases    []testcase `xml:"testcase"`
	}
	all := struct {
		XMLName xml.Name `xml:"testsuites"`
		Suites  []suite  `xml:"testsuite"`
	}{}
	for _, c := range Codes {
		s := suite{Name: c.ID + " " + c.Name, Tests: 1, Cases: []testcase{{Name: c.Says, Class: c.ID}}}
		for _, f := range r.Findings {
			if f.Code != c.ID {
				continue
			}
			found := testcase{Name: output.Clean(f.Where()), Class: c.ID, Failure: &failure{string(f.Severity), output.Clean(f.Message)}}
			if s.Failures == 0 {
				s.Cases = nil
			}
			s.Cases, s.Failures = append(s.Cases, found), s.Failures+1
		}
		s.Tests = len(s.Cases)
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
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(object{
		"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
		"runs": []object{{
			"tool":    object{"driver": object{"name": "kubectl-regcred", "version": version, "informationUri": "https://github.com/regcred/regcred", "rules": rules}},
			"results": results,
		}},
	})
}
