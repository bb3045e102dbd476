package controllers

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

func TestStaleEntry(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	req := providers.Request{Registry: registry("prod", "eu-west-1"), RefreshRequestedAt: "r1"}
	fresh := record{Name: "prod", Source: req.Source(), Refresh: "r1", RefreshAt: now.Add(time.Second), ExpiresAt: now.Add(time.Hour)}
	with := func(change func(*record)) observed {
		r := fresh
		change(&r)
		return observed{records: map[string]record{"prod": r}}
	}
	for name, c := range map[string]struct {
		observed observed
		want     cause
	}{
		"fresh":             {with(func(*record) {}), ""},
		"no record":         {observed{}, causeNew},
		"another's record":  {observed{records: map[string]record{"other": fresh}}, causeNew},
		"another source":    {with(func(r *record) { r.Source = "x" }), causeSourceChanged},
		"another refresh":   {with(func(r *record) { r.Refresh = "r0" }), causeRefreshRequested},
		"due this moment":   {with(func(r *record) { r.RefreshAt = now }), causeDue},
		"due for long":      {with(func(r *record) { r.RefreshAt = now.Add(-time.Hour) }), causeDue},
		"source before due": {with(func(r *record) { r.Source, r.RefreshAt = "x", now }), causeSourceChanged},
	} {
		if got := staleEntry(c.observed, req, now); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func managed(manager, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields)}
}

const ownData = `{"f:data":{".":{},"f:.dockerconfigjson":{}},"f:metadata":{"f:annotations":{".":{}}},"f:type":{}}`

func TestTamperingShowsInManagedFieldsBeforeAndAfterTheCache(t *testing.T) {
	for name, c := range map[string]struct {
		fields []metav1.ManagedFieldsEntry
		want   bool
	}{
		"as written":                          {[]metav1.ManagedFieldsEntry{managed("regcred", ownData)}, true},
		"labels of others":                    {[]metav1.ManagedFieldsEntry{managed("regcred", ownData), managed("kubectl", `{"f:metadata":{"f:labels":{"f:a":{}}}}`)}, true},
		"the same bytes applied by others":    {[]metav1.ManagedFieldsEntry{managed("regcred", ownData), managed("argocd", `{"f:data":{"f:.dockerconfigjson":{}}}`)}, true},
		"no fields at all":                    {nil, false},
		"data taken over":                     {[]metav1.ManagedFieldsEntry{managed("regcred", `{"f:type":{}}`), managed("kubectl-edit", `{"f:data":{"f:.dockerconfigjson":{}}}`)}, false},
		"a key added":                         {[]metav1.ManagedFieldsEntry{managed("regcred", ownData), managed("kubectl", `{"f:data":{"f:x":{}}}`)}, false},
		"our key removed":                     {[]metav1.ManagedFieldsEntry{managed("regcred", `{"f:data":{".":{}}}`)}, false},
		"another manager with a similar name": {[]metav1.ManagedFieldsEntry{managed("regcred2", ownData)}, false},
		"unreadable":                          {[]metav1.ManagedFieldsEntry{managed("regcred", `{`)}, false},
	} {
		m := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ManagedFields: c.fields}}
		if got := intact(m); got != c.want {
			t.Errorf("%s: intact is %t, want %t", name, got, c.want)
		}
		if name == "unreadable" {
			continue
		}
		cached, err := transformSecret(m.DeepCopy())
		if err != nil {
			t.Fatal(err)
		}
		if got := intact(cached.(*metav1.PartialObjectMetadata)); got != c.want {
			t.Errorf("%s: intact is %t after the cache, want %t", name, got, c.want)
		}
	}
}

func TestJitterOnlyMovesARefreshEarlierAndNeverChanges(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	c := &credential{object: &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{UID: "uid"}}}
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

func TestTheCacheHoldsNoContent(t *testing.T) {
	options := CacheOptions()
	if !options.ReaderFailOnMissingInformer {
		t.Error("reading a kind that nobody planned would fill the memory")
	}
	for o, by := range options.ByObject {
		m, ok := o.(*metav1.PartialObjectMetadata)
		if !ok {
			if _, ok := o.(*corev1.Secret); ok {
				t.Error("Secrets are cached with their content")
			}
			continue
		}
		if m.Kind == "Secret" && (by.Label == nil || by.Label.String() != v1alpha1.LabelSecret) {
			t.Errorf("Secrets are cached by the label selector %v, want those with our label", by.Label)
		}
	}
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{managed("a", "{}")}, Annotations: map[string]string{
		corev1.LastAppliedConfigAnnotation: "x", "eks.amazonaws.com/role-arn": "y"}}, ImagePullSecrets: []corev1.LocalObjectReference{{Name: "a"}}}
	cached, err := transformServiceAccount(sa)
	if err != nil {
		t.Fatal(err)
	}
	want := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"eks.amazonaws.com/role-arn": "y"}},
		ImagePullSecrets: []corev1.LocalObjectReference{{Name: "a"}}}
	if diff := cmp.Diff(want, cached); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOurOwnWriteIsAwaitedForAWhile(t *testing.T) {
	now := time.Now()
	target := Target{Namespace: "a"}
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
		var x expectations
		x.expect(target, "10", now)
		if got := x.ahead(target, c.cached, now.Add(c.after)); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
		x.expect(target, "10", now)
		x.forget(target)
		if x.ahead(target, nil, now) {
			t.Errorf("%s: a forgotten write is awaited", name)
		}
	}
}
