// Command metricsdoc writes docs/metrics.md from the metrics themselves and from the alerts:
//
//	metricsdoc config/monitoring/prometheusrule.yaml docs/metrics.md
package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/controllers"
	"github.com/regcred/regcred/controllers/report"
	"github.com/regcred/regcred/providers/broker"
)

// labels says of every label what it holds, and what bounds its values.
var labels = map[string]string{
	"cause":                "why a Secret was written, one of those that the metric names; or why a pull failed, one of [these](troubleshooting.md#a-pod-does-not-pull)",
	"kind":                 "`RegistryCredential` or `ClusterRegistryCredential`",
	"action":               "what was done to a link, one of those that the metric names",
	"credential":           "name of the credential",
	"credential_namespace": "namespace of the credential; empty for a ClusterRegistryCredential",
	"go_version":           "of the controller",
	"version":              "of the controller",
	"provider":             "the union member of the entry, such as `ecr`",
	"reason":               "one of the [reasons of a failure](registrycredential.md#ready)",
	"registry":             "name of the entry in `spec.registries`; 16 at most",
	"result":               "of a [trial](registrycredential.md#specregistriesverify); one of those that the metric names",
	"state":                "of a circuit breaker; one of those that the metric names",
	"type":                 "of an event: `Normal` or `Warning`",
}

//go:embed metrics.md.tmpl
var page string

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: metricsdoc config/monitoring/prometheusrule.yaml docs/metrics.md")
	}
	text, err := render(os.Args[1])
	if err == nil {
		err = os.WriteFile(os.Args[2], text, 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func render(rules string) ([]byte, error) {
	metrics, err := all()
	if err != nil {
		return nil, err
	}
	alerts, err := alertsIn(rules)
	if err != nil {
		return nil, err
	}
	meanings := map[string]string{}
	for _, m := range metrics {
		for _, l := range m.Labels {
			if meanings[l] = labels[l]; meanings[l] == "" {
				return nil, fmt.Errorf("%s: say in metricsdoc what the label %s holds, and what bounds its values", m.Name, l)
			}
		}
	}
	var text bytes.Buffer
	err = template.Must(template.New("page").Parse(page)).Execute(&text, map[string]any{"Metrics": metrics, "Labels": meanings, "Alerts": alerts})
	return text.Bytes(), err
}

// metric is a row of the table.
type metric struct {
	Name, Help string
	Labels     []string
}

// Type is told by the name, by Prometheus' conventions. test/monitoring holds it against what the controller says.
func (m metric) Type() string {
	switch {
	case strings.HasSuffix(m.Name, "_total"):
		return "counter"
	case strings.HasSuffix(m.Name, "_duration_seconds"):
		return "histogram"
	default:
		return "gauge"
	}
}

// LabelList is for the table.
func (m metric) LabelList() string {
	quoted := make([]string, len(m.Labels))
	for i, l := range m.Labels {
		quoted[i] = "`" + l + "`"
	}
	return strings.Join(quoted, ", ")
}

// alert is a rule of the PrometheusRule.
type alert struct {
	Name                string `json:"alert"`
	Labels, Annotations map[string]string
}

func alertsIn(path string) ([]alert, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var rule struct {
		Spec struct{ Groups []struct{ Rules []alert } }
	}
	if err := yaml.Unmarshal(raw, &rule); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var alerts []alert
	for _, g := range rule.Spec.Groups {
		alerts = append(alerts, g.Rules...)
	}
	return alerts, nil
}

// all are Regcred's own metrics, sorted by name.
func all() ([]metric, error) {
	own := &described{}
	broker.NewMetrics(own)
	controllers.NewDroppedEvents(own)
	own.MustRegister(broker.New(context.Background(), broker.Options{Clock: clock.RealClock{}}), &report.Metrics{})
	var metrics []metric
	for _, d := range own.descriptions {
		m, err := parse(d.String())
		if err != nil {
			return nil, err
		}
		metrics = append(metrics, m)
	}
	slices.SortFunc(metrics, func(a, b metric) int { return strings.Compare(a.Name, b.Name) })
	return metrics, nil
}

// described is a Registerer that keeps the descriptions.
type described struct {
	prometheus.Registerer
	descriptions []*prometheus.Desc
}

func (r *described) MustRegister(collectors ...prometheus.Collector) {
	for _, c := range collectors {
		descriptions := make(chan *prometheus.Desc)
		go func() {
			defer close(descriptions)
			c.Describe(descriptions)
		}()
		for d := range descriptions {
			r.descriptions = append(r.descriptions, d)
		}
	}
}

var form = regexp.MustCompile(`^Desc{fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*"), .*variableLabels: {(.*)}}$`)

// parse reads a description's own text: it gives nothing away otherwise.
func parse(text string) (metric, error) {
	found := form.FindStringSubmatch(text)
	if found == nil {
		return metric{}, fmt.Errorf("the Prometheus client describes metrics in another form now: %s", text)
	}
	name, err1 := strconv.Unquote(found[1])
	help, err2 := strconv.Unquote(found[2])
	if err1 != nil || err2 != nil {
		return metric{}, fmt.Errorf("%s: %w", text, errors.Join(err1, err2))
	}
	m := metric{Name: name, Help: help}
	if found[3] != "" {
		m.Labels = strings.Split(found[3], ",")
	}
	return m, nil
}
