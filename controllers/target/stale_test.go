package target

import (
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/providers"
)

func TestStaleEntry(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	req := providers.Request{Registry: v1alpha1.Registry{Name: "prod", ECR: &v1alpha1.ECR{Region: "eu-west-1"}}, RefreshRequestedAt: "r1"}
	fresh := pullsecret.Record{Name: "prod", Source: req.Source(), Refresh: "r1", RefreshAt: now.Add(time.Second), ExpiresAt: now.Add(time.Hour)}
	with := func(change func(*pullsecret.Record)) observed {
		r := fresh
		change(&r)
		return observed{records: map[string]pullsecret.Record{"prod": r}}
	}
	for name, c := range map[string]struct {
		observed observed
		want     Cause
	}{
		"fresh":             {with(func(*pullsecret.Record) {}), ""},
		"no record":         {observed{}, CauseNew},
		"another's record":  {observed{records: map[string]pullsecret.Record{"other": fresh}}, CauseNew},
		"another source":    {with(func(r *pullsecret.Record) { r.Source = "x" }), CauseSourceChanged},
		"another refresh":   {with(func(r *pullsecret.Record) { r.Refresh = "r0" }), CauseRefreshRequested},
		"due this moment":   {with(func(r *pullsecret.Record) { r.RefreshAt = now }), CauseDue},
		"due for long":      {with(func(r *pullsecret.Record) { r.RefreshAt = now.Add(-time.Hour) }), CauseDue},
		"source before due": {with(func(r *pullsecret.Record) { r.Source, r.RefreshAt = "x", now }), CauseSourceChanged},
	} {
		if got := staleEntry(c.observed, req, now); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestJitterOnlyMovesARefreshEarlierAndNeverChanges(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	c := &credential.Credential{Object: &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{UID: "uid"}}}
	for _, life := range []time.Duration{time.Minute, time.Hour, 12 * time.Hour} {
		token := providers.Token{IssuedAt: now, ExpiresAt: now.Add(life)}
		tenths := map[time.Duration]int{}
		for i := range 1000 {
			namespace := "team-" + string(rune('a'+i%26)) + time.Duration(i).String()
			at := refreshAt(c, namespace, token)
			if at != refreshAt(c, namespace, token) {
				t.Fatal("the jitter is random")
			}
			early := now.Add(life / 2).Sub(at)
			if early < 0 || early > life/jitterShare {
				t.Fatalf("life %s: refreshed %s before half of it", life, early)
			}
			tenths[early*10/(life/jitterShare+1)]++
		}
		for tenth := range time.Duration(10) {
			if tenths[tenth] < 50 || tenths[tenth] > 200 {
				t.Errorf("life %s: %d of 1000 refreshes fall into tenth %d of the window", life, tenths[tenth], tenth)
			}
		}
	}
}

func TestOurOwnWriteIsAwaitedForAWhile(t *testing.T) {
	now := time.Now()
	target := credential.Target{Credential: credential.Key{Name: "c"}, Namespace: "a", Name: "c"}
	version := func(v string) *metav1.PartialObjectMetadata {
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ResourceVersion: v}}
	}
	for name, c := range map[string]struct {
		cached *metav1.PartialObjectMetadata
		after  time.Duration
		want   bool
	}{
		"not there yet": {nil, 0, true},
		"older":         {version("9"), 0, true},
		"just that":     {version("10"), 0, false},
		"newer":         {version("11"), 0, false},
		"missed":        {nil, expectFor, false},
	} {
		clock := clocktesting.NewFakePassiveClock(now)
		r := New(Config{Clock: clock})
		r.written.Put(target, "10")
		clock.SetTime(now.Add(c.after))
		if got := r.ahead(target, c.cached); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
	r := New(Config{Clock: clocktesting.NewFakePassiveClock(now)})
	r.written.Put(target, "10")
	secret := version("10")
	secret.SetNamespace("a")
	secret.SetName("c")
	secret.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.KindClusterRegistryCredential, Name: "c", Controller: new(true)}}
	r.Deleted(secret)
	if r.ahead(target, nil) {
		t.Error("the write of a Secret that was deleted is awaited")
	}
}
