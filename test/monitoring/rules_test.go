// Package monitoring proves that the alerts and the dashboard of config/monitoring speak of metrics that are there, and that they say
// what they are for: by promtool, and by a real Prometheus beside a running controller.
package monitoring

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/regcred/regcred/test/controlplane/assets"
)

const root = "../.."

// ruleFile is what Prometheus reads, and the spec of a PrometheusRule.
type ruleFile struct {
	Groups []struct {
		Name  string `json:"name"`
		Rules []rule `json:"rules"`
	} `json:"groups"`
}

type rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// rules are those of the PrometheusRule.
func rules(t *testing.T) ruleFile {
	t.Helper()
	var object struct {
		Spec ruleFile `json:"spec"`
	}
	decode(t, filepath.Join(root, "config", "monitoring", "prometheusrule.yaml"), &object)
	if len(object.Spec.Groups) == 0 {
		t.Fatal("the PrometheusRule has no groups")
	}
	return object.Spec
}

func (f ruleFile) alerts() []rule {
	var all []rule
	for _, g := range f.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

// write puts the rules where Prometheus can read them: JSON is YAML.
func (f ruleFile) write(t *testing.T, path string) {
	t.Helper()
	raw, err := json.Marshal(f)
	if err == nil {
		err = os.WriteFile(path, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func decode(t *testing.T, path string, into any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(raw, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func program(t *testing.T, name string) string {
	t.Helper()
	dir, err := assets.Find(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

func TestAlertsPassTheirUnitTests(t *testing.T) {
	dir := t.TempDir()
	rules(t).write(t, filepath.Join(dir, "rules.yaml"))
	tests, err := os.ReadFile("testdata/alerts.yaml")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "alerts.yaml"), tests, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check", "rules", "rules.yaml"}, {"test", "rules", "alerts.yaml"}} {
		cmd := exec.CommandContext(t.Context(), program(t, assets.Promtool), args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func TestEveryAlertIsTestedBothWays(t *testing.T) {
	var file struct {
		Tests []struct {
			Cases []struct {
				Alert string            `json:"alertname"`
				Want  []json.RawMessage `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		} `json:"tests"`
	}
	decode(t, "testdata/alerts.yaml", &file)
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, test := range file.Tests {
		for _, c := range test.Cases {
			fires[c.Alert] = fires[c.Alert] || len(c.Want) > 0
			silent[c.Alert] = silent[c.Alert] || len(c.Want) == 0
		}
	}
	for _, r := range rules(t).alerts() {
		if !fires[r.Alert] || !silent[r.Alert] {
			t.Errorf("%s: no unit test in which it fires, or none in which it does not", r.Alert)
		}
	}
}

func TestEveryAlertSaysWhatHelps(t *testing.T) {
	const runbooks = "https://github.com/regcred/regcred/blob/main/"
	alerts := map[string]bool{}
	for _, r := range rules(t).alerts() {
		alerts[r.Alert] = true
		if keys := slices.Sorted(maps.Keys(r.Annotations)); !slices.Equal(keys, []string{"description", "runbook_url", "summary"}) {
			t.Errorf("%s: annotations %v", r.Alert, keys)
		}
		if severity := r.Labels["severity"]; severity != "warning" && severity != "critical" {
			t.Errorf("%s: severity %q", r.Alert, severity)
		}
		if want := runbooks + "docs/runbooks/" + r.Alert + ".md"; r.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook %s, want %s", r.Alert, r.Annotations["runbook_url"], want)
		}
	}
	pages := map[string]bool{}
	err := fs.WalkDir(os.DirFS(filepath.Join(root, "docs", "runbooks")), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		pages[strings.TrimSuffix(path, ".md")] = true
		raw, err := os.ReadFile(filepath.Join(root, "docs", "runbooks", path))
		var headings []string
		for _, h := range regexp.MustCompile(`(?m)^##? (.+)$`).FindAllStringSubmatch(string(raw), -1) {
			headings = append(headings, h[1])
		}
		want := []string{strings.TrimSuffix(path, ".md"), "Meaning", "Impact", "Diagnosis", "Cure"}
		if diff := cmp.Diff(want, headings); diff != "" {
			t.Errorf("%s: headings wanted (-), there (+):\n%s", path, diff)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(alerts, pages); diff != "" {
		t.Errorf("alerts (-) and runbooks (+):\n%s", diff)
	}
}

// knownMetrics are those of docs/metrics.md, by name: their type, "" for those of libraries. The page is generated from the metrics.
func knownMetrics(t *testing.T) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{}
	for line := range strings.Lines(string(raw)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for _, name := range regexp.MustCompile("`([a-z]+_[a-z_]+)`").FindAllStringSubmatch(cells[1], -1) {
			if known[name[1]] = ""; len(cells) == 6 {
				known[name[1]] = strings.TrimSpace(cells[2])
			}
		}
	}
	if len(known) < 20 {
		t.Fatalf("docs/metrics.md has %d metrics only", len(known))
	}
	return known
}

var (
	// noMetric is what stands in PromQL and names no metric: text, matchers, ranges and lists of labels.
	noMetric = regexp.MustCompile(`"[^"]*"|\{[^}]*\}|\[[^]]*\]|\b(?:by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)`)
	name     = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*\b\s*\(?`)
	keywords = []string{"and", "or", "unless", "Inf", "bool", "offset"}
)

// metricsIn are the metrics that an expression asks for.
func metricsIn(expr string) []string {
	var found []string
	for _, word := range name.FindAllString(noMetric.ReplaceAllString(expr, " "), -1) {
		if word = strings.TrimSpace(word); strings.HasSuffix(word, "(") || slices.Contains(keywords, word) {
			continue
		}
		found = append(found, word)
	}
	return found
}

func TestExpressionsAskForMetricsThatAreThere(t *testing.T) {
	known := knownMetrics(t)
	expressions := map[string]string{}
	for _, r := range rules(t).alerts() {
		expressions["alert "+r.Alert] = r.Expr
	}
	for _, p := range board(t).Panels {
		for _, target := range p.Targets {
			expressions["panel "+p.Title] += "\n" + target.Expr
		}
	}
	used := 0
	for where, expr := range expressions {
		for _, metric := range metricsIn(expr) {
			used++
			base := metric
			for _, suffix := range []string{"_bucket", "_count", "_sum"} {
				if trimmed, ok := strings.CutSuffix(metric, suffix); ok && known[trimmed] == "histogram" {
					base = trimmed
				}
			}
			if _, ok := known[base]; !ok && metric != "ALERTS" {
				t.Errorf("%s asks for %s, which docs/metrics.md does not know", where, metric)
			}
		}
	}
	if used < 50 {
		t.Errorf("found %d metrics only", used)
	}
}
