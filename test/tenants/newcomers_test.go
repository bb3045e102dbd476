package tenants

import (
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

// Newcomers are served beside an abuse as promptly as this, or slowly times as slowly as beside none: a machine may be slow. A stall takes minutes,
// since abuses go on.
const promptly, slowly = 30 * time.Second, 10

// welcomes lets newcomers come: a namespace of the cluster's credential, and a neighbour's credentials that need a call to the same
// endpoint of a cloud, and a trial at a registry. All are served promptly, and the cluster's credential reports the namespace.
func (s *stage) welcomes(t *testing.T) {
	t.Helper()
	s.newcomers++
	name := fmt.Sprintf("newcomer-%d", s.newcomers)
	newcomer := newTenant(t, name, selected)
	newcomer.keyed("key")
	token := world.DockerHub.AddUser(cloud.HubUser{Name: name, Pull: []string{"acme/*"}})
	newcomer.identity("hub", map[string]string{"username": name, "password": token})
	if _, err := world.DockerHub.SeedImage("acme/app", "v1"); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for name, entry := range newcomersEntries() {
		newcomer.create(newcomer.credential(name, entry))
	}
	newcomer.identity("late-login", map[string]string{"username": name, "password": token})
	waits := newcomer.waits()
	limit := max(promptly, slowly*s.calm)
	for len(waits) > 0 && time.Since(start) < limit {
		for what, done := range waits {
			if done() {
				delete(waits, what)
			}
		}
		waitFor(t, 20*time.Millisecond)
	}
	for what := range waits {
		t.Errorf("beside the abuse, a newcomer waits for more than %s for %s", limit, what)
	}
	took := time.Since(start).Round(time.Millisecond)
	if s.calm == 0 {
		s.calm = took
	}
	t.Logf("a newcomer was served after %s, and one beside no abuse after %s", took, s.calm)
	newcomer.leave()
}

// newcomersEntries are one for each way on which a newcomer could meet somebody else, by the names of their credentials.
func newcomersEntries() map[string]v1alpha1.Registry {
	proven := static("docker.io", "hub")
	proven.Verify = &v1alpha1.Verify{Repository: "acme/app"}
	return map[string]v1alpha1.Registry{"own": ecr(secretRef("key")), "proven": proven, "plugged": plugged("good"), "late": static("quay.io", "late-login")}
}

// waits are what a newcomer waits for.
func (u *tenant) waits() map[string]func() bool {
	there := func(secret string) func() bool {
		return func() bool { return world.Client.Get(u.Context(), u.key(secret), &corev1.Secret{}) == nil }
	}
	return map[string]func() bool{
		"the Secret of the cluster's credential":         func() bool { return pullsWith(u.Context(), u.ns, platform) == nil },
		"its link":                                       func() bool { return u.linked("default", platform) },
		"a token of its own":                             func() bool { return pullsWith(u.Context(), u.ns, "own") == nil },
		"a token that is tried at the Hub":               there("proven"),
		"a token of everybody's plugin":                  there("plugged"),
		"a login whose Secret came after its credential": there("late"),
		"the cluster's credential to count it": func() bool {
			counts := sharedStatus(u.T).Namespaces
			return counts != nil && int(counts.Selected) == len(selectedNamespaces(u.T))
		},
	}
}

func selectedNamespaces(t *testing.T) []corev1.Namespace {
	t.Helper()
	list := &corev1.NamespaceList{}
	if err := world.Client.List(t.Context(), list, client.MatchingLabels(selected)); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(ns corev1.Namespace) bool { return !ns.DeletionTimestamp.IsZero() })
}

func (u *tenant) linked(account, secret string) bool {
	sa := &corev1.ServiceAccount{}
	if err := world.Client.Get(u.Context(), u.key(account), sa); err != nil {
		return false
	}
	return slices.Contains(sa.ImagePullSecrets, corev1.LocalObjectReference{Name: secret})
}
