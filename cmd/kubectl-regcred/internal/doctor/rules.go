package doctor

import (
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
)

// Needs are the rules that the controller's ClusterRole must hold, in short. Those with a setting are given for that setting only.
var Needs = []struct {
	Group, Resource string
	Verbs           []string
	Setting         string
}{
	{"", "secrets", []string{"get", "list", "watch", "create", "update", "patch", "delete"}, ""},
	{"", "serviceaccounts", []string{"list", "watch", "patch"}, ""},
	{"", "serviceaccounts/token", []string{"create"}, ""},
	{"", "namespaces", []string{"list", "watch"}, ""},
	{"", "events", []string{"list", "watch"}, "diagnosePulls"},
	{"", "pods", []string{"get"}, "diagnosePulls"},
	{"", "pods/eviction", []string{"create"}, "recoverPods"},
	{"events.k8s.io", "events", []string{"create", "patch"}, ""},
	{"regcred.dev", "registrycredentials", []string{"list", "watch"}, ""},
	{"regcred.dev", "clusterregistrycredentials", []string{"list", "watch"}, ""},
	{"regcred.dev", "registrycredentials/status", []string{"patch"}, ""},
	{"regcred.dev", "clusterregistrycredentials/status", []string{"patch"}, ""},
}

// Lacking are the rights that rules do not give, and the settings that go without theirs.
func Lacking(rules []rbacv1.PolicyRule) (missing, off []string) {
	for _, n := range Needs {
		for _, verb := range n.Verbs {
			given := slices.ContainsFunc(rules, func(r rbacv1.PolicyRule) bool {
				return includes(r.APIGroups, n.Group) && includes(r.Resources, n.Resource) && includes(r.Verbs, verb) && len(r.ResourceNames) == 0
			})
			switch {
			case given:
			case n.Setting == "":
				missing = append(missing, fmt.Sprintf("%s %s", verb, n.Resource))
			case !slices.Contains(off, n.Setting):
				off = append(off, n.Setting)
			}
		}
	}
	return missing, off
}

func includes(names []string, name string) bool {
	return slices.Contains(names, name) || slices.Contains(names, "*")
}
