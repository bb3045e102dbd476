package policy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/controllers/target"
	"github.com/regcred/regcred/controllers/view"
	"github.com/regcred/regcred/providers"
)

var linksDir = filepath.Join(root, "config", "policy", "link")

// withLinks applies the MutatingAdmissionPolicy until the test ends.
func withLinks(t *testing.T) {
	t.Helper()
	applyLinks(t)
	t.Cleanup(func() {
		if _, err := cluster.Kubectl(context.Background(), "delete", "-k", linksDir); err != nil {
			t.Error(err)
		}
	})
}

func applyLinks(t *testing.T) {
	t.Helper()
	_, err := cluster.Kubectl(t.Context(), "apply", "-k", linksDir)
	must(t, err)
}

// cluster-wide credentials live until the test ends.
func share(t *testing.T, c *v1alpha1.ClusterRegistryCredential) {
	t.Helper()
	must(t, admin.Create(t.Context(), c))
	t.Cleanup(func() {
		if err := admin.Delete(context.Background(), c); err != nil {
			t.Error(err)
		}
	})
}

func shared(name string) *v1alpha1.ClusterRegistryCredential {
	c := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: name}}
	c.Spec.Registries = []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: "eu-west-1"}}}
	return c
}

// awaitCredentials waits until the API server's policy knows all credentials that exist: it learns of them in order.
func awaitCredentials(t *testing.T, ns string) {
	t.Helper()
	last := shared(fmt.Sprintf("last-%d", time.Now().UnixNano()))
	last.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Names: []string{last.Name}}
	share(t, last)
	await(t, "a ServiceAccount that is linked at its creation", func() bool {
		sa := account(ns, last.Name)
		must(t, admin.Create(t.Context(), sa, client.DryRunAll))
		return len(sa.ImagePullSecrets) > 0
	})
}

// awaitOwn waits until the API server's policy knows all credentials of a namespace.
func awaitOwn(t *testing.T, ns string) {
	t.Helper()
	last := own(ns, fmt.Sprintf("last-%d", time.Now().UnixNano()))
	last.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Names: []string{last.Name}}
	must(t, admin.Create(t.Context(), last))
	await(t, "a ServiceAccount that is linked to a Secret of its namespace", func() bool {
		sa := account(ns, last.Name)
		must(t, admin.Create(t.Context(), sa, client.DryRunAll))
		return len(sa.ImagePullSecrets) > 0
	})
}

// noTokens is a cloud that has none: the tests are about links.
type noTokens struct{}

func (noTokens) Token(providers.Request, time.Time, providers.Waiter) (providers.Token, error) {
	return providers.Token{}, providers.Errorf(v1alpha1.ReasonUnavailable, "no tokens here")
}
func (noTokens) InMemory(providers.Request) (providers.Token, bool) { return providers.Token{}, false }
func (noTokens) Ready(providers.Request, time.Time) bool            { return false }
func (noTokens) RefusedIssuedAt(providers.Request) time.Time        { return time.Time{} }
func (noTokens) Spare(providers.TokenName)                          {}
func (noTokens) SetSources(providers.Owner, []string)               {}
func (noTokens) Suspend(providers.Owner)                            {}
func (noTokens) Annotations(*v1alpha1.Registry) []string            { return nil }
func (noTokens) Hosts(*v1alpha1.Registry) []string                  { return nil }

// noOutcomes tells nobody.
type noOutcomes struct{}

func (noOutcomes) Linked(credential.Key, link.Changes)                              {}
func (noOutcomes) Report(*credential.Credential, credential.Target, target.Outcome) {}
func (noOutcomes) Forget(credential.Target)                                         {}
func (noOutcomes) Failure(credential.Target, string) *credential.Failure            { return nil }

func controller() *target.Reconciler {
	return target.New(target.Config{
		Cache: admin, Live: admin, Client: admin, Tokens: noTokens{}, Clock: clocktesting.NewFakePassiveClock(time.Now()), Namespace: home,
		Excluded: view.Excluded{"kube-system", "kube-public", "kube-node-lease"}, Wake: func(credential.Target, int) {},
		Outcomes: noOutcomes{},
	})
}

// TestThePolicyLinksWhatTheControllerWouldLink creates ServiceAccounts under the policy and then lets the controller look at them: where
// both decide alike, it has nothing to change, neither to add nor to take away.
func TestThePolicyLinksWhatTheControllerWouldLink(t *testing.T) {
	withLinks(t)
	random := rand.New(rand.NewPCG(1, 2)) // a failure can be repeated
	credentials := make([]*v1alpha1.ClusterRegistryCredential, 24)
	for i := range credentials {
		c := shared(fmt.Sprintf("random-%d", i))
		c.Spec.NamespaceSelector = randomSelector(random)
		if random.IntN(3) == 0 {
			c.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Names: randomNames(random)}
		} else {
			c.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Selector: new(randomSelector(random))}
		}
		share(t, c)
		credentials[i] = c
	}
	awaitCredentials(t, namespace(t))
	r := controller()
	linked := map[string]int{}
	cases := 0
	for range 20 {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "random-", Labels: randomLabels(random)}}
		must(t, admin.Create(t.Context(), ns))
		for _, name := range names {
			sa := account(ns.Name, name)
			sa.Labels = randomLabels(random)
			if random.IntN(3) == 0 {
				sa.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "theirs"}}
				sa.Annotations = map[string]string{"theirs": "too"}
			}
			must(t, admin.Create(t.Context(), sa))
			for _, c := range credentials {
				cases++
				_, err := r.Reconcile(t.Context(), credential.Target{Credential: credential.Key{Name: c.Name}, Namespace: ns.Name, Name: c.Name})
				must(t, err)
				after := &corev1.ServiceAccount{}
				must(t, admin.Get(t.Context(), client.ObjectKeyFromObject(sa), after))
				if after.ResourceVersion != sa.ResourceVersion {
					t.Fatalf("namespace %v, ServiceAccount %s %v, credential %+v %+v: the policy links %v, the controller %v",
						ns.Labels, name, sa.Labels, c.Spec.NamespaceSelector, c.Spec.ServiceAccounts, sa.ImagePullSecrets, after.ImagePullSecrets)
				}
				count(linked, c, sa)
			}
		}
	}
	t.Logf("%d cases; links and others by operator: %v", cases, linked)
	for _, operator := range operators {
		for _, of := range []string{"namespaces", "accounts"} {
			for _, is := range []string{"linked", "not"} {
				if key := fmt.Sprintf("%s %s %s", of, operator, is); linked[key] == 0 {
					t.Errorf("no case of %s: the test proves nothing of it", key)
				}
			}
		}
	}
}

// count notes what a case has tried.
func count(tried map[string]int, c *v1alpha1.ClusterRegistryCredential, sa *corev1.ServiceAccount) {
	is := "not"
	if slices.Contains(sa.ImagePullSecrets, corev1.LocalObjectReference{Name: c.Name}) {
		is = "linked"
	}
	for _, e := range c.Spec.NamespaceSelector.MatchExpressions {
		tried[fmt.Sprintf("namespaces %s %s", e.Operator, is)]++
	}
	if s := c.Spec.ServiceAccounts.Selector; s != nil {
		for _, e := range s.MatchExpressions {
			tried[fmt.Sprintf("accounts %s %s", e.Operator, is)]++
		}
	}
}

var (
	keys      = []string{"app", "example.com/tier"}
	values    = []string{"", "a", "b"}
	names     = []string{"default", "builder", "x.y-z"}
	operators = []metav1.LabelSelectorOperator{
		metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn, metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist,
	}
)

func randomLabels(random *rand.Rand) map[string]string {
	labels := map[string]string{}
	for _, key := range keys {
		if random.IntN(2) == 0 {
			labels[key] = values[random.IntN(len(values))]
		}
	}
	return labels
}

func randomNames(random *rand.Rand) []string {
	return names[random.IntN(len(names)):]
}

func randomSelector(random *rand.Rand) v1alpha1.Selector {
	var s v1alpha1.Selector
	if random.IntN(4) == 0 {
		s.MatchLabels = map[string]v1alpha1.LabelValue{keys[random.IntN(len(keys))]: v1alpha1.LabelValue(values[random.IntN(len(values))])}
	}
	for range random.IntN(3) {
		r := v1alpha1.SelectorRequirement{Key: keys[random.IntN(len(keys))], Operator: operators[random.IntN(len(operators))]}
		if r.Operator == metav1.LabelSelectorOpIn || r.Operator == metav1.LabelSelectorOpNotIn {
			for _, value := range values[random.IntN(len(values)):] {
				r.Values = append(r.Values, v1alpha1.LabelValue(value))
			}
		}
		s.MatchExpressions = append(s.MatchExpressions, r)
	}
	return s
}

// TestWithoutItsKindThePolicyIsNoHindrance: CustomResourceDefinitions may be deleted before everything else.
func TestWithoutItsKindThePolicyIsNoHindrance(t *testing.T) {
	withLinks(t)
	ns := namespace(t)
	c, o := shared("everybodys"), own(ns, "of-"+ns)
	c.Spec.ServiceAccounts, o.Spec.ServiceAccounts = everybody(), everybody()
	share(t, c)
	must(t, admin.Create(t.Context(), o))
	for name, version := range map[string]string{"no such kind": v1alpha1.GroupVersion.String(), "no such group": "gone.example.com/v1"} {
		t.Run(name, func(t *testing.T) {
			awaitLinks(t, ns, 2)
			patch := fmt.Sprintf(`{"spec":{"paramKind":{"apiVersion":%q,"kind":"Gone"}}}`, version)
			_, err := cluster.Kubectl(t.Context(), "patch", "mutatingadmissionpolicy", "regcred-link", "regcred-link-namespaced", "--type=merge", "-p", patch)
			must(t, err)
			awaitLinks(t, ns, 0)
			applyLinks(t)
		})
	}
}

// awaitLinks waits until a ServiceAccount is linked so often at its creation, which is never refused.
func awaitLinks(t *testing.T, ns string, want int) {
	t.Helper()
	await(t, fmt.Sprintf("a ServiceAccount with %d links", want), func() bool {
		sa := account(ns, "puller")
		must(t, admin.Create(t.Context(), sa, client.DryRunAll))
		return len(sa.ImagePullSecrets) == want
	})
}
