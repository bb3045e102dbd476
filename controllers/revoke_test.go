package controllers

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/target"
	"github.com/regcred/regcred/providers"
)

// revocable is a world with two targets that share tokens that can be revoked; the first is due before the second.
func revocable(t *testing.T) (w *world, first, second credential.Target, firstDue, secondDue time.Duration) {
	t.Helper()
	w, ns := newWorld(t)
	w.mint.change = func(*providers.Token) {}
	other := ns + "-b"
	w.must(w.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: other, Labels: map[string]string{"team": ns}}}))
	first = w.apply(ns, nil, registry("prod", "eu-west-1"))
	second = credential.Target{Credential: first.Credential, Namespace: other, Name: first.Name}
	firstDue, secondDue = w.run(first).RequeueAfter, w.run(second).RequeueAfter
	if firstDue > secondDue {
		return w, second, first, secondDue, firstDue
	}
	return w, first, second, firstDue, secondDue
}

func (w *world) revoked() []string {
	w.mint.mu.Lock()
	defer w.mint.mu.Unlock()
	return w.mint.revoked
}

func TestAReplacedTokenIsRevokedWhenNoTargetHoldsItAnyMore(t *testing.T) {
	w, first, second, firstDue, secondDue := revocable(t)
	w.step(firstDue)
	w.run(first)
	w.run(first)
	w.step(time.Minute)
	w.run(first)
	if got := w.revoked(); len(got) != 0 {
		t.Fatalf("%v revoked while a target holds it", got)
	}
	w.step(secondDue - firstDue - time.Minute)
	w.run(second)
	if after := w.run(second).RequeueAfter; after != time.Minute {
		t.Errorf("looked at again after %s, want %s: the token may be on its way into a new target", after, time.Minute)
	}
	if got := w.revoked(); len(got) != 0 {
		t.Fatalf("%v revoked at once", got)
	}
	w.step(time.Minute)
	w.run(second)
	<-w.revocations
	if diff := cmp.Diff([]string{w.mint.ids + "-1"}, w.revoked()); diff != "" {
		t.Errorf("revoked (-want +got):\n%s", diff)
	}
	w.run(second)
	w.run(first)
	if got := w.revoked(); len(got) != 1 {
		t.Errorf("revoked again: %v", got)
	}
}

func TestATokenThatComesBackIntoATargetIsNotRevoked(t *testing.T) {
	w, first, second, _, secondDue := revocable(t)
	w.step(secondDue)
	old := w.secret(second)
	w.run(first)
	w.run(second)
	w.run(second)
	// A target got the old token at the last moment; a restored copy stands for it.
	restored := w.secret(second)
	restored.Annotations, restored.Data = old.Annotations, old.Data
	w.must(w.Client.Update(t.Context(), restored))
	w.step(time.Minute)
	w.Tokens = silent{w.Tokens}
	w.run(second)
	if got := w.revoked(); len(got) != 0 {
		t.Errorf("%v revoked while a target holds it", got)
	}
}

// silent gives nobody a token.
type silent struct{ target.Tokens }

func (silent) Token(providers.Request, time.Time, func()) (providers.Token, error) {
	return providers.Token{}, errRefused
}

func (silent) Held(providers.Request) (providers.Token, bool) { return providers.Token{}, false }

func TestARevocationThatFailsIsTriedAgainAFewTimes(t *testing.T) {
	w, first, second, _, secondDue := revocable(t)
	w.mint.fail["revoke"] = &providers.Error{Reason: v1alpha1.ReasonUnavailable, Err: errors.New("down")}
	w.step(secondDue)
	w.run(first)
	w.run(second)
	w.run(second)
	for range 5 {
		w.step(15 * time.Minute)
		w.run(second)
		<-w.revocations
	}
	tried := len(w.revoked())
	w.step(15 * time.Minute)
	w.run(second)
	if got := len(w.revoked()); tried != 5 || got != tried {
		t.Errorf("tried %d times, and %d times in the end, want 5", tried, got)
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
	if got := len(w.report(target).Registries[0].Hosts); got != 64 {
		t.Errorf("%d hosts in the status", got)
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
