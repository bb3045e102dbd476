package controllers

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
)

// claiming is the record of prod alone, which claims a host for ever.
func claiming(t *testing.T, record, host string) string {
	t.Helper()
	var d struct {
		Version int              `json:"version"`
		Entries []map[string]any `json:"entries"`
	}
	if err := json.Unmarshal([]byte(record), &d); err != nil {
		t.Fatal(err)
	}
	d.Entries = slices.DeleteFunc(d.Entries, func(e map[string]any) bool { return e["name"] != "prod" })
	d.Entries[0]["hosts"], d.Entries[0]["expiresAt"] = []string{host}, "2200-01-01T00:00:00Z"
	forged, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(forged)
}

// forgers bring a record into the target's Secret under our name, while we are there to see it.
var forgers = map[string]func(w *world, t credential.Target, record string){
	"when the budget of reads is used up": func(w *world, t credential.Target, record string) {
		for i := range 12 {
			w.patch(t, "heart", fmt.Sprintf(`{"metadata":{"annotations":{"beat":"%d"}}}`, i))
			w.run(t)
		}
		w.forge(t, record)
	},
	"on a Secret in the place of ours": (*world).recreate,
	"on a Secret in the place of one that was only seen": func(w *world, t credential.Target, record string) {
		w.restart()
		w.run(t)
		w.recreate(t, record)
	},
}

func (w *world) forge(t credential.Target, record string) {
	w.Helper()
	w.patch(t, v1alpha1.FieldManager, fmt.Sprintf(`{"metadata":{"annotations":{"regcred.dev/registries":%q}}}`, record))
}

// recreate puts another Secret into the place of one, under our name.
func (w *world) recreate(t credential.Target, record string) {
	w.Helper()
	s, region := w.secret(t), "us-east-1"
	if !strings.Contains(record, host(region)) {
		region = "eu-west-1"
	}
	w.must(w.admin.Delete(w.Context(), s))
	w.Deleted(s)
	w.must(w.admin.Create(w.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name, Labels: s.Labels, OwnerReferences: s.OwnerReferences,
			Annotations: map[string]string{pullsecret.AnnotationRegistries: record}},
		Type: s.Type, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(fmt.Sprintf(`{"auths":{%q:{"auth":"QTpi"}}}`, host(region)))},
	}, client.FieldOwner(v1alpha1.FieldManager)))
}

// Whoever may write in one namespace makes an entry claim another's host there: that is no fault of the credential, and the neighbour goes on.
func TestAForgedRecordMakesNoCredentialStalled(t *testing.T) {
	all := maps.Clone(forgers)
	all["before a restart"] = func(w *world, t credential.Target, record string) {
		w.forge(t, record)
		w.restart()
	}
	for name, forge := range all {
		t.Run(name, func(t *testing.T) {
			w, ns := newWorld(t)
			w.must(w.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns + "-b", Labels: map[string]string{"team": ns}}}))
			first := w.apply(ns, nil, registry("prod", "eu-west-1"), registry("stage", "us-east-1"))
			second := credential.Target{Credential: first.Credential, Namespace: ns + "-b", Name: first.Name}
			w.run(first)
			w.run(second)
			neighbour := w.secret(second)
			forge(w, first, claiming(t, w.secret(first).Annotations[pullsecret.AnnotationRegistries], host("us-east-1")))
			w.run(first)
			w.run(second)
			status := w.report(second)
			ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
			if ready.Status != metav1.ConditionTrue || meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionStalled) != nil {
				t.Errorf("Ready=%s %s: %s", ready.Status, ready.Reason, ready.Message)
			}
			if status.ExpiresAt == nil || status.ExpiresAt.After(w.time.Now().Add(life)) {
				t.Errorf("expiresAt is %v", status.ExpiresAt)
			}
			if got := tokens(t, w.secret(first)); len(got) != 2 || !strings.HasPrefix(got[host("us-east-1")], canary+"us-east-1") {
				t.Errorf("%d logins, want both", len(got))
			}
			if w.secret(second).ResourceVersion != neighbour.ResourceVersion {
				t.Error("the neighbour's Secret was written")
			}
		})
	}
}

// A record that we did not write commands no time.
func TestAForgedRecordSaysNothingOfWhenATokenEnds(t *testing.T) {
	for name, forge := range forgers {
		t.Run(name, func(t *testing.T) {
			w, ns := newWorld(t)
			target := w.apply(ns, nil, registry("prod", "eu-west-1"))
			w.run(target)
			expires := w.report(target).ExpiresAt
			forge(w, target, claiming(t, w.secret(target).Annotations[pullsecret.AnnotationRegistries], host("eu-west-1")))
			w.run(target)
			if got := w.report(target).ExpiresAt; !got.Equal(expires) && w.mint.count() == 1 || got.After(w.time.Now().Add(life)) {
				t.Errorf("expiresAt is %v, want %v", got, expires)
			}
		})
	}
}

// Nobody knows what a Secret held that was only seen, but another in its place was not written by us.
func TestASecretInThePlaceOfOneThatWasOnlySeenIsNotOurs(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	record := w.secret(target).Annotations[pullsecret.AnnotationRegistries]
	w.restart()
	w.run(target)
	w.recreate(target, record)
	w.run(target)
	if got := tokens(t, w.secret(target))[host("eu-west-1")]; !strings.HasPrefix(got, canary) {
		t.Error("what somebody else wrote is still there")
	}
}

// While a Secret is changed more often than it is looked at, nobody says that pods can pull with it.
func TestASecretThatIsNotLookedAtCountsForNothing(t *testing.T) {
	w, ns := newWorld(t)
	w.must(w.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns + "-b", Labels: map[string]string{"team": ns}}}))
	first := w.apply(ns, nil, registry("prod", "eu-west-1"))
	second := credential.Target{Credential: first.Credential, Namespace: ns + "-b", Name: first.Name}
	w.run(first)
	w.run(second)
	for i := range 12 {
		w.patch(first, "heart", fmt.Sprintf(`{"metadata":{"annotations":{"beat":"%d"}}}`, i))
		w.run(first)
	}
	status := w.report(second)
	if f := status.Failures; len(f) != 1 || f[0].Reason != v1alpha1.ReasonContended || f[0].Namespaces[0] != ns {
		t.Errorf("failures: %v", f)
	}
	if status.Namespaces.Current != 1 || w.ready(second).Reason != v1alpha1.ReasonPartial {
		t.Errorf("%d current, Ready because of %s", status.Namespaces.Current, w.ready(second).Reason)
	}
	w.step(5 * time.Minute)
	w.run(first)
	if status := w.report(second); status.Namespaces.Current != 2 {
		t.Errorf("%d current after it was looked at: %v", status.Namespaces.Current, status.Failures)
	}
}
