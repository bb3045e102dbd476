package target

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/providers"
)

func TestWhatIsKnownOfOneNamespaceMakesNothingOfOthersBeForgotten(t *testing.T) {
	r := New(Config{Clock: clocktesting.NewFakePassiveClock(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC))})
	targetOf := func(namespace string, n int) credential.Target {
		return credential.Target{Credential: credential.Key{Namespace: namespace, Name: fmt.Sprint(n)}, Namespace: namespace, Name: fmt.Sprint(n)}
	}
	secretOf := func(namespace string, n int) client.ObjectKey { return targetOf(namespace, n).Secret() }
	incarnationOf := func(namespace string, n int) incarnation {
		return incarnation{targetOf(namespace, n).Credential, types.UID(fmt.Sprint(n))}
	}
	for name, memory := range map[string]struct {
		bound int
		put   func(namespace string, n int)
		known func(namespace string, n int) bool
	}{
		"identities that are none": {maxIdentities,
			func(ns string, n int) { r.identities.Put(secretOf(ns, n), noIdentity{}) },
			func(ns string, n int) bool { _, ok := r.identities.Get(secretOf(ns, n)); return ok }},
		"contents of identities": {maxIdentities,
			func(ns string, n int) { r.identityHashes.Put(secretOf(ns, n), identityHash{}) },
			func(ns string, n int) bool { _, ok := r.identityHashes.Get(secretOf(ns, n)); return ok }},
		"own writes": {maxWritten,
			func(ns string, n int) { r.written.Put(targetOf(ns, n), "1") },
			func(ns string, n int) bool { return r.written.Behind(targetOf(ns, n), "") }},
		"Secrets of suspended credentials": {maxWritten,
			func(ns string, n int) { r.inspected.Put(targetOf(ns, n), inspection{}) },
			func(ns string, n int) bool { _, ok := r.inspected.Get(targetOf(ns, n)); return ok }},
		"refused tokens of single Secrets": {maxCondemned,
			func(ns string, n int) { r.condemned.Put(condemned{targetOf(ns, n), "prod"}, r.Clock.Now()) },
			func(ns string, n int) bool { _, ok := r.condemned.Get(condemned{targetOf(ns, n), "prod"}); return ok }},
		"sources": {maxIdentities,
			func(ns string, n int) { r.sources.Put(hashed{tenant: ns, data: fmt.Sprint(n)}, "") },
			func(ns string, n int) bool {
				_, ok := r.sources.Get(hashed{tenant: ns, data: fmt.Sprint(n)})
				return ok
			}},
		"Secrets that are absent": {maxTargets,
			func(ns string, n int) { r.absent.Put(targetOf(ns, n), struct{}{}) },
			func(ns string, n int) bool { _, ok := r.absent.Get(targetOf(ns, n)); return ok }},
		"Secrets in conflict": {maxTargets,
			func(ns string, n int) { r.conflicts.Put(targetOf(ns, n), knownConflict{}) },
			func(ns string, n int) bool { _, ok := r.conflicts.Get(targetOf(ns, n)); return ok }},
		"repairs": {maxTargets,
			func(ns string, n int) { r.repairs.Spend(targetOf(ns, n), "") },
			func(ns string, n int) bool { return r.repairs.Recent(targetOf(ns, n)) }},
		"Secrets that others change first": {maxTargets,
			func(ns string, n int) { r.outruns.Put(targetOf(ns, n), 1) },
			func(ns string, n int) bool { _, ok := r.outruns.Get(targetOf(ns, n)); return ok }},
		"comparisons": {maxTargets,
			func(ns string, n int) { r.comparisons.Spend(targetOf(ns, n), "") },
			func(ns string, n int) bool { return r.comparisons.Recent(targetOf(ns, n)) }},
		"credentials that are no more": {maxIdentities,
			func(ns string, n int) { r.goneCredentials.Put(incarnationOf(ns, n), true) },
			func(ns string, n int) bool { _, ok := r.goneCredentials.Get(incarnationOf(ns, n)); return ok }},
	} {
		memory.put("victim", 0)
		for n := range memory.bound + 1 {
			memory.put("mallory", n)
		}
		if !memory.known("victim", 0) {
			t.Errorf("%s: one namespace's are forgotten for another's", name)
		}
		if memory.known("mallory", 0) || !memory.known("mallory", memory.bound) {
			t.Errorf("%s: who has too many does not forget its own first", name)
		}
	}
}

func TestWhatWasWrittenForOneTenantMakesNothingOfOthersBeForgotten(t *testing.T) {
	const victims = 1000
	r := New(Config{Clock: clocktesting.NewFakePassiveClock(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC))})
	write := func(of credential.Target) {
		r.seals.put(of, seal{})
		r.holders.put(of.Secret(), of.Credential.Namespace, []providers.TokenName{"0/1"})
	}
	known := func(of credential.Target) bool {
		_, sealed := r.seals.get(of)
		return sealed && r.holders.of(of.Secret()) != nil
	}
	targetOf := func(tenant, namespace string, n int) credential.Target {
		return credential.Target{Credential: credential.Key{Namespace: tenant, Name: fmt.Sprint(n)}, Namespace: namespace, Name: fmt.Sprint(n)}
	}
	for n := range victims {
		write(targetOf(fmt.Sprint("victim-", n), fmt.Sprint("victim-", n), 0))
	}
	write(targetOf("", "mallory", -1))
	for n := range 2 * maxTargets {
		write(targetOf("mallory", "mallory", n))
	}
	for n := range victims {
		if !known(targetOf(fmt.Sprint("victim-", n), fmt.Sprint("victim-", n), 0)) {
			t.Fatal("one namespace's are forgotten for another's")
		}
	}
	if !known(targetOf("", "mallory", -1)) {
		t.Error("the cluster's in the namespace that has too many is forgotten for its own")
	}
	if !known(targetOf("mallory", "mallory", 2*maxTargets-1)) || r.seals.all.Len() != victims+1+targetsOfTenant {
		t.Errorf("who has too many does not forget its own first: %d are known", r.seals.all.Len())
	}
}

func TestIdentitiesOfClusterCredentialsHaveNoShareToFill(t *testing.T) {
	r := New(Config{Namespace: "regcred-system", Clock: clocktesting.NewFakePassiveClock(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC))})
	of := func(n int) client.ObjectKey {
		return client.ObjectKey{Namespace: "regcred-system", Name: fmt.Sprint(n)}
	}
	for n := range maxIdentities {
		r.identityHashes.Put(of(n), identityHash{})
	}
	if _, known := r.identityHashes.Get(of(0)); !known {
		t.Error("the first of them is forgotten though there is room")
	}
}
