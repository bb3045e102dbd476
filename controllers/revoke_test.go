package controllers

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/controllers/target"
	"github.com/regcred/regcred/providers"
)

func TestAReplacedTokenIsRetiredAndSoIsThatOfACredentialThatIsGone(t *testing.T) {
	w, ns := newWorld(t)
	w.mint.change = func(*providers.Token) {}
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.step(w.run(target).RequeueAfter)
	w.run(target)
	if got := <-w.retired; !strings.HasSuffix(string(got), "/"+ns+"-1") {
		t.Errorf("retired %s, want the token that was replaced", got)
	}
	w.must(w.admin.Delete(t.Context(), w.credential(ns)))
	w.run(target)
	if got := <-w.retired; !strings.HasSuffix(string(got), "/"+ns+"-2") {
		t.Errorf("retired %s, want the token whose credential is gone", got)
	}
}

// Its namespaces went first: no target is left when it goes, or when somebody looks how it stands.
func TestTheTokenOfACredentialWithoutANamespaceIsRetired(t *testing.T) {
	for name, gone := range map[string]bool{"it selects none": false, "it is gone, too": true} {
		t.Run(name, func(t *testing.T) {
			w, ns := newWorld(t)
			w.mint.change = func(*providers.Token) {}
			target := w.apply(ns, nil, registry("prod", "eu-west-1"))
			w.run(target)
			w.must(w.admin.Patch(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}},
				client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"team":null}}}`))))
			w.run(target)
			if gone {
				w.must(w.admin.Delete(t.Context(), w.credential(ns)))
			}
			w.bury(target)
			select {
			case <-w.retired:
			default:
				t.Error("the token is kept for nobody")
			}
		})
	}
}

// releasing has the world's controller tell which tokens no Secret holds any more.
func (w *world) releasing() (released *[]providers.TokenName) {
	w.Helper()
	released = &[]providers.TokenName{}
	w.Released = func(token providers.TokenName) { *released = append(*released, token) }
	w.Reconciler = target.New(w.Config)
	return released
}

func TestWhoHoldsATokenIsWhatWasWrittenAndNotWhatASecretSays(t *testing.T) {
	w, good := newWorld(t)
	w.mint.change = func(*providers.Token) {}
	released := w.releasing()
	target := w.apply(good, nil, registry("prod", "eu-west-1"))
	due := w.run(target).RequeueAfter
	held := w.secret(target)
	source := pullsecret.Read(held, w.time.Now()).Records["prod"].Source
	first, second := providers.NewTokenName(source, good+"-1"), providers.NewTokenName(source, good+"-2")
	if !w.Holds(first) {
		t.Fatal("nobody is known to hold the token")
	}
	// A tenant copies the Secret, with all that it says, into its own namespace.
	bad := w.tenant()
	w.must(w.admin.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: bad, Name: held.Name, Labels: held.Labels, Annotations: held.Annotations, OwnerReferences: held.OwnerReferences},
		Type:       held.Type, Data: held.Data,
	}, client.FieldOwner(v1alpha1.FieldManager)))
	copied := target
	copied.Namespace = bad
	w.run(copied)
	w.step(due)
	w.run(target)
	if w.Holds(first) || !w.Holds(second) || !slices.Equal(*released, []providers.TokenName{first}) {
		t.Errorf("after the rotation: the first is held %t, the second %t; released are %v", w.Holds(first), w.Holds(second), *released)
	}
	// Nor does the deletion of the copy let go of what the neighbour holds.
	w.deleted(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: bad, Name: held.Name, OwnerReferences: held.OwnerReferences}})
	if !w.Holds(second) {
		t.Error("a tenant has let go of its neighbour's token")
	}
	s := w.secret(target)
	w.must(w.admin.Delete(t.Context(), s))
	w.deleted(s)
	if w.Holds(second) {
		t.Error("a Secret that is deleted holds its token")
	}
}

func TestATokenWithoutEndIsPublishedAndNeverDue(t *testing.T) {
	w, ns := newWorld(t)
	w.mint.change = func(token *providers.Token) { token.ExpiresAt, token.ID = providers.Never, "" }
	target := w.apply(ns, nil, registry("hub", "eu-west-1"))
	if after := w.run(target).RequeueAfter; after != 0 {
		t.Errorf("due after %s", after)
	}
	status := w.report(target)
	if got := status.Registries[0]; got.ExpiresAt != nil || got.RefreshAt != nil || status.ExpiresAt != nil || status.RefreshAt != nil {
		t.Errorf("expires %v, due %v", got.ExpiresAt, got.RefreshAt)
	}
	if ready := w.ready(target); ready.Status != metav1.ConditionTrue || ready.Reason != v1alpha1.ReasonCurrent {
		t.Errorf("Ready=%s %s: %s", ready.Status, ready.Reason, ready.Message)
	}
	before := w.secret(target)
	w.restart()
	w.step(365 * 24 * time.Hour)
	w.run(target)
	if w.secret(target).ResourceVersion != before.ResourceVersion || w.mint.count() != 1 {
		t.Errorf("it was fetched %d times", w.mint.count())
	}
}

func TestATokenThatTheCloudRepeatsIsDueWhenItNoLongerDoes(t *testing.T) {
	w, ns := newWorld(t)
	repeatedUntil := w.time.Now().Add(11 * time.Hour)
	w.mint.change = func(token *providers.Token) { token.RenewableAt, token.ID = repeatedUntil, "" }
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	after := w.run(target).RequeueAfter
	if at := w.time.Now().Add(after); at.Before(repeatedUntil) || at.After(repeatedUntil.Add(time.Hour/10)) {
		t.Errorf("due at %s, want %s and up to a tenth of what is left", at, repeatedUntil)
	}
}

// The jitter of a tenth of the life reaches back before the moment at which the cloud stops to repeat the token.
func TestJitterAsksForNoTokenThatTheCloudWouldRepeat(t *testing.T) {
	w, ns := newWorld(t)
	renewable := w.time.Now().Add(life/2 - time.Minute)
	w.mint.change = func(token *providers.Token) { token.RenewableAt, token.ID = renewable, "" }
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	if at := w.time.Now().Add(w.run(target).RequeueAfter); at.Before(renewable) || at.After(renewable.Add(time.Minute)) {
		t.Errorf("due at %s, want %s to a minute later", at, renewable)
	}
}

func TestAStatusNamesNoMoreHostsThanItsSchemaHolds(t *testing.T) {
	w, ns := newWorld(t)
	w.mint.change = func(token *providers.Token) {
		token.Logins[0].Hosts = nil
		for i := range 100 {
			token.Logins[0].Hosts = append(token.Logins[0].Hosts, fmt.Sprintf("r%d.example", i))
		}
	}
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	if status := w.report(target).Registries; len(status) != 1 || len(status[0].Hosts) != 64 {
		t.Errorf("the status has the registries %v", status)
	}
	if got := len(tokens(t, w.secret(target))); got != 100 {
		t.Errorf("%d hosts in the Secret", got)
	}
}

func TestAVerifiedTokenIsReportedAsSuch(t *testing.T) {
	w, ns := newWorld(t)
	w.mint.change = func(token *providers.Token) { token.Verified = metav1.ConditionTrue }
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	w.restart()
	w.run(target)
	if got := w.report(target).Registries[0].Verified; got != metav1.ConditionTrue {
		t.Errorf("verified: %q", got)
	}
}

func TestWhyATokenCouldNotBeProvedIsInStatus(t *testing.T) {
	w, ns := newWorld(t)
	const why = "registry.example wants logins to be shown to elsewhere.example, which is another host"
	w.mint.verdict = func(string) (providers.Verdict, error) {
		return providers.Verdict{}, providers.Errorf(v1alpha1.ReasonUnavailable, why)
	}
	entry := registry("prod", "eu-west-1")
	entry.Verify = &v1alpha1.Verify{Repository: "team/app"}
	target := w.apply(ns, nil, entry)
	w.run(target)
	told := func(when, want string) {
		t.Helper()
		r := w.report(target).Registries[0]
		if r.Verified != metav1.ConditionUnknown || r.Reason != "" || r.Message != want {
			t.Errorf("%s: verified %s, %s: %s", when, r.Verified, r.Reason, r.Message)
		}
		w.expectReady(when, w.ready(target), metav1.ConditionTrue, v1alpha1.ReasonCurrent)
	}
	told("when it is published", why)
	w.run(target)
	told("when nothing has changed", why)
	before := w.report(target)
	w.restart()
	w.run(target)
	told("after a restart", why)
	if after := w.report(target); !cmp.Equal(before, after) {
		t.Error("the restart changed the status")
	}
	w.mint.verdict = func(string) (providers.Verdict, error) { return providers.Verdict{}, nil }
	w.step(life / 2)
	w.run(target)
	if r := w.report(target).Registries[0]; r.Verified != metav1.ConditionTrue || r.Message != "" {
		t.Errorf("once it is proved: verified %s: %s", r.Verified, r.Message)
	}
}

func TestARefusedTokenLeavesTheOldOneInPlace(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	due := w.run(target).RequeueAfter
	before := w.secret(target)
	w.mint.breakWest(&providers.Error{Reason: v1alpha1.ReasonVerificationFailed, Err: errors.New("may not pull (HTTP status 403, DENIED)")})
	w.step(due)
	w.run(target)
	if w.secret(target).ResourceVersion != before.ResourceVersion {
		t.Error("the good token was overwritten")
	}
	if ready := w.ready(target); ready.Status != metav1.ConditionTrue || ready.Reason != v1alpha1.ReasonRefreshFailing || !strings.Contains(ready.Message, "DENIED") {
		t.Errorf("Ready=%s %s: %s", ready.Status, ready.Reason, ready.Message)
	}
}
