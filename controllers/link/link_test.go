package link

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
)

func TestChangesAreToldApart(t *testing.T) {
	target := credential.Target{Credential: credential.Key{Name: "c"}, Namespace: "team", Name: "c"}
	for name, c := range map[string]struct {
		linked, recorded, wanted bool
		want                     Changes
	}{
		"a new link":                             {wanted: true, want: Changes{Made: 1}},
		"one that somebody removed":              {recorded: true, wanted: true, want: Changes{Restored: 1}},
		"one that is wanted no longer":           {linked: true, recorded: true, want: Changes{Removed: 1}},
		"one that somebody removed, and rightly": {recorded: true},
		"one that is there":                      {linked: true, recorded: true, wanted: true},
		"somebody else's":                        {linked: true},
	} {
		sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Annotations: map[string]string{}}}
		if c.linked {
			sa.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "c"}}
		}
		if c.recorded {
			sa.Annotations[v1alpha1.AnnotationLinkPrefix+"c"] = target.LinkRecord()
		}
		var got Changes
		var by *credential.Target
		if c.wanted {
			by = &target
		}
		if patch := patchFor(target, sa, by); patch != nil {
			got = patch.change
		}
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestWhatIsKnownOfOneNamespaceMakesNothingOfOthersBeForgotten(t *testing.T) {
	l := New(clocktesting.NewFakePassiveClock(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)))
	key := func(namespace string, n int) client.ObjectKey {
		return client.ObjectKey{Namespace: namespace, Name: fmt.Sprint(n)}
	}
	at := func(namespace string, n int) place {
		return place{credential.Target{Namespace: namespace}, fmt.Sprint(n)}
	}
	put := func(namespace string, n int) {
		l.repairs.Spend(at(namespace, n), "argo")
		l.written.Put(key(namespace, n), "1")
		l.unanswered(key(namespace, n), failed(""))
	}
	put("victim", 0)
	for n := range maxPlaces + 1 {
		put("mallory", n)
	}
	if !l.repairs.Recent(at("victim", 0)) {
		t.Error("a fight is forgotten")
	}
	if !l.written.Behind(key("victim", 0), "") {
		t.Error("what was written is forgotten")
	}
	if _, known := l.outages.Get(key("victim", 0)); !known {
		t.Error("an outage is forgotten")
	}
}

// api is one whose cache never shows what was changed, as if somebody took each link off again at once.
type api struct {
	client.Client
	patched map[string]int
}

func (a *api) Patch(_ context.Context, o client.Object, _ client.Patch, _ ...client.PatchOption) error {
	a.patched[o.GetNamespace()]++
	return nil
}

func (a *api) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }

func TestSoManyLinksOfOneNamespaceThatNotAllAreRememberedAreRepairedEverMoreRarely(t *testing.T) {
	now := clocktesting.NewFakePassiveClock(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC))
	l, a := New(now), &api{patched: map[string]int{}}
	many := map[string]int{"mallory": placesOfNamespace + 1, "victim": 1}
	sync := func(namespace string) Outcome {
		target := credential.Target{Credential: credential.Key{Name: "c"}, Namespace: namespace, Name: "c"}
		out, err := l.Sync(t.Context(), API{Live: a, Client: a, Accounts: func(context.Context, string) (all []*corev1.ServiceAccount, _ error) {
			for n := range many[namespace] {
				all = append(all, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprint(n)}})
			}
			return all, nil
		}}, target, Wishes{Wanted: func(metav1.Object) (*credential.Target, error) { return &target, nil }})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	var out Outcome
	for range 6 {
		out = sync("mallory")
	}
	if got := a.patched["mallory"]; got != crowdAtOnce {
		t.Errorf("%d changes at once, want %d", got, crowdAtOnce)
	}
	if out.Failure == nil || out.Failure.Reason != v1alpha1.ReasonContended || out.Failure.RetryAfter != crowdWait || !out.Unlinked {
		t.Errorf("it is not told: %+v", out)
	}
	if out := sync("victim"); a.patched["victim"] != 1 || out.Failure != nil {
		t.Errorf("a neighbour waits: %+v", out.Failure)
	}
	now.SetTime(now.Now().Add(crowdWait))
	sync("mallory")
	if got, want := a.patched["mallory"]-crowdAtOnce, crowdAtOnce*int(crowdWait/time.Second)/int(crowdPeriod/time.Second); got < want-1 || got > want+1 {
		t.Errorf("%d changes %s later, want %d", got, crowdWait, want)
	}
}
