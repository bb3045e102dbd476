package monitoring

import (
	"regexp"
	"strings"
	"testing"
)

// aggregation is an aggregating operator of PromQL with what it groups by.
var aggregation = regexp.MustCompile(`\b(?:sum|min|max|avg|count|group|topk|bottomk|quantile|stddev)\s*(by|without)?\s*\(([^)]*)`)

// TestAlertsKeepTheLabelsOfTheirCluster: an alert looks past the replica that says something, and keeps whatever else a scrape has added.
func TestAlertsKeepTheLabelsOfTheirCluster(t *testing.T) {
	const replica = "pod, instance, container, endpoint, service, job, node"
	found := 0
	for _, r := range rules(t).alerts() {
		for _, a := range aggregation.FindAllStringSubmatch(r.Expr, -1) {
			found++
			if a[1] != "without" || !strings.HasPrefix(a[2], replica) {
				t.Errorf("%s drops labels: %s", r.Alert, a[0])
			}
		}
	}
	if found < 10 {
		t.Errorf("found %d aggregations only", found)
	}
}

// TestTheDashboardHasAClusterAndFailedPulls: it can be asked of one cluster among many, and shows what users see first.
func TestTheDashboardHasAClusterAndFailedPulls(t *testing.T) {
	d := board(t)
	cluster, pulls := false, false
	for _, v := range d.Templating.List {
		cluster = cluster || v.Name == "cluster"
	}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			pulls = pulls || strings.Contains(target.Expr, "regcred_pull_failures_total")
		}
	}
	if !cluster || !pulls {
		t.Errorf("a variable cluster: %t; a panel of failed pulls: %t", cluster, pulls)
	}
}
