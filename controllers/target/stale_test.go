package target

import (
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/internal/apiserver"
	"github.com/regcred/regcred/providers"
)

func TestStaleEntry(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	req := providers.Request{Registry: v1alpha1.Registry{Name: "prod", ECR: &v1alpha1.ECR{Region: "eu-west-1"}}, RefreshStamp: "r1"}
	with := func(change func(*EntryState)) *EntryState {
		e := &EntryState{Name: "prod", Known: true, DueAt: now.Add(time.Second), Record: pullsecret.Record{
			Name: "prod", Source: req.Source(), RefreshStamp: "r1", IssuedAt: now.Add(-time.Hour), ExpiresAt: now.Add(time.Hour)}}
		change(e)
		return e
	}
	for name, c := range map[string]struct {
		entry *EntryState
		want  Cause
	}{
		"fresh":             {with(func(*EntryState) {}), ""},
		"no record":         {&EntryState{Name: "prod"}, CauseNew},
		"another source":    {with(func(e *EntryState) { e.Record.Source = "x" }), CauseSourceChanged},
		"another refresh":   {with(func(e *EntryState) { e.Record.RefreshStamp = "r0" }), CauseRefreshRequested},
		"due this moment":   {with(func(e *EntryState) { e.DueAt = now }), CauseDue},
		"due for long":      {with(func(e *EntryState) { e.DueAt = now.Add(-time.Hour) }), CauseDue},
		"source before due": {with(func(e *EntryState) { e.Record.Source, e.DueAt = "x", now }), CauseSourceChanged},
	} {
		if got := staleEntry(c.entry, wanted{req: req, now: now}); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	for refused, want := range map[time.Duration]Cause{-2 * time.Hour: "", -time.Hour: CauseRefused, -time.Minute: CauseRefused} {
		if got := staleEntry(with(func(*EntryState) {}), wanted{req, now.Add(refused), now}); got != want {
			t.Errorf("refused until %s: %q, want %q", refused, got, want)
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
		"missed":        {nil, apiserver.CacheLag, false},
	} {
		clock := clocktesting.NewFakePassiveClock(now)
		r := New(Config{Clock: clock})
		r.written.Put(target, "10")
		clock.SetTime(now.Add(c.after))
		if got := r.cacheBehind(target, c.cached); got != c.want {
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
	if r.cacheBehind(target, nil) {
		t.Error("the write of a Secret that was deleted is awaited")
	}
}
