package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/check"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// credentials are what fails of them, in numbers.
func (d *doctor) credentials(ctx context.Context) error {
	all, err := d.k.Credentials(ctx, "")
	if err != nil {
		d.add("credentials", check.Bad, "%s", err)
		return nil
	}
	if d.k.Missed("registrycredentials") || d.k.Missed("clusterregistrycredentials") {
		d.unread("credentials", "regcreds", "list")
	}
	count := map[string]int{}
	for _, c := range all {
		ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
		switch {
		case ready == nil:
			count["not reported on"]++
		case ready.Status != metav1.ConditionTrue:
			count["not ready"]++
		}
		for _, reason := range reasonsOf(c) {
			count[strings.ToLower(reason)]++
		}
	}
	state, texts := check.Good, []string{output.Count(len(all), "credential")}
	for _, what := range []string{"not reported on", "not ready", "secretconflict", "contended", "overridden", "suspended"} {
		if n := count[what]; n > 0 {
			texts = append(texts, fmt.Sprintf("%d %s", n, what))
			if what != "overridden" && what != "suspended" {
				state = check.Bad
			}
		}
	}
	d.add("credentials", state, "%s", strings.Join(texts, ", "))
	return nil
}

// reasonsOf are the reasons of a credential, of its entries and of its namespaces, each once.
func reasonsOf(c *cluster.Credential) []string {
	var reasons []string
	if c.Spec.Suspend {
		reasons = append(reasons, v1alpha1.ReasonSuspended)
	}
	for _, r := range c.Status.Registries {
		reasons = append(reasons, r.Reason)
	}
	if c.Cluster != nil {
		for _, f := range c.Cluster.Failures {
			reasons = append(reasons, f.Reason)
		}
	}
	if ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
		reasons = append(reasons, ready.Reason)
	}
	slices.Sort(reasons)
	return slices.Compact(reasons)
}
