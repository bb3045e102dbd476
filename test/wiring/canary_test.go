package wiring

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

// The secrets of the clouds, of ServiceAccounts and of Secrets are looked for where people look: in the log of the highest verbosity, the
// metrics, and every version of every object. A cloud that hangs is not among the harms: its calls end after 30 seconds each, and the
// providers' contract suite covers them.
func TestNoTokenIsShownWhateverTheCloudsDo(t *testing.T) {
	e := prepareEveryProvider(t, "canary")
	create(t, namespace("canary-1", map[string]string{"team": "canary"}))
	create(t, e.credential)
	e.pulls(t, e.published(t, "canary-1", e.entries()...), e.entries()...)
	e.standing(t, map[string]string{})
	for _, h := range slices.Concat(e.outages(), e.refusals()) {
		t.Run(h.name, func(t *testing.T) {
			h.do(t)
			e.refresh(t)
			e.standing(t, h.reasons)
			s := e.published(t, "canary-1", slices.DeleteFunc(e.entries(), func(name string) bool { return h.reasons[name] != "" })...)
			for name, r := range recordsOf(t, s) {
				if h.unproven && r.Verified == metav1.ConditionTrue {
					t.Errorf("%s: proved at a registry that does not answer", name)
				}
			}
			if h.spares {
				e.pulls(t, s, e.entries()...)
			}
			h.undo(t)
			e.refresh(t)
			e.pulls(t, e.published(t, "canary-1", e.entries()...), e.entries()...)
			e.standing(t, map[string]string{})
		})
		if t.Failed() {
			break // the next would fail for it, too
		}
	}
	told(t, e.name, v1alpha1.ReasonThrottled, v1alpha1.ReasonUnavailable, v1alpha1.ReasonAccessDenied, v1alpha1.ReasonVerificationFailed,
		v1alpha1.ReasonIdentityInvalid, v1alpha1.ReasonIdentityNotFound)
	leaks, err := leaked(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, leak := range leaks {
		t.Errorf("a credential is shown by %s", leak)
	}
}

// told waits until there are events about the credential with all of the reasons.
func told(t *testing.T, name string, reasons ...string) {
	t.Helper()
	ctx, cancel := world.Within(t.Context(), patience)
	defer cancel()
	w, err := world.Client.Watch(ctx, &eventsv1.EventList{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		if e, ok := e.Object.(*eventsv1.Event); ok && e.Regarding.Name == name {
			if reasons = slices.DeleteFunc(reasons, func(reason string) bool { return reason == e.Reason }); len(reasons) == 0 {
				return
			}
		}
	}
	t.Errorf("no events say %v: %v", reasons, context.Cause(ctx))
}

// baits is a namespace for what the search must find.
const baits = "baits"

func TestTheSearchFindsWhatIsThere(t *testing.T) {
	const secret = cloud.Canary + "bait"
	create(t, namespace(baits, nil))
	meta := metav1.ObjectMeta{Namespace: baits, Name: "bait"}
	annotated := meta
	annotated.Annotations = map[string]string{"bait": secret}
	create(t, &corev1.ConfigMap{ObjectMeta: meta, BinaryData: map[string][]byte{"bait": []byte(secret)}})
	create(t, &corev1.Secret{ObjectMeta: annotated})
	create(t, &corev1.Event{ObjectMeta: meta, Message: secret, InvolvedObject: corev1.ObjectReference{Namespace: baits}})
	c := &v1alpha1.RegistryCredential{ObjectMeta: annotated}
	c.Spec.Registries = []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: "eu-west-1"},
		Identity: &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: "none"}}}}
	create(t, c)
	// What is in a Secret itself is nobody's business.
	create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: baits, Name: "harmless"}, StringData: map[string]string{"password": secret}})
	until(t, &corev1.ServiceAccountList{}, baits, "default", "the ServiceAccount", func(*corev1.ServiceAccount, bool) bool { return true })

	shown, err := witness.catchUp(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, s := range shown {
		if s.namespace == baits {
			found[s.resource] = s.name
		}
	}
	want := map[string]string{"configmaps": "bait", "secrets": "bait", "events": "bait", "events.events.k8s.io": "bait", "registrycredentials.regcred.dev": "bait"}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	for _, resource := range slices.Sorted(maps.Keys(want)) {
		if witness.versions(resource) == 0 {
			t.Errorf("no %s have been seen", resource)
		}
	}
	log := logged.Bytes()
	if len(log) < 1000 || len(linesWithCredentials(log)) != 0 {
		t.Errorf("a log of %d bytes is too short to prove anything, or shows a credential", len(log))
	}
	token, err := world.Kubectl(t.Context(), "create", "token", "default", "-n", baits)
	if err != nil {
		t.Fatal(err)
	}
	for name, bait := range map[string][]byte{"canary": []byte(secret), "ServiceAccount's token": token} {
		middle := len(log) / 2
		if len(linesWithCredentials(slices.Concat(log[:middle], bait, log[middle:]))) == 0 {
			t.Errorf("a %s in the log is not found", name)
		}
	}
}
