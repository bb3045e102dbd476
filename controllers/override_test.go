package controllers

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/broker"
	"github.com/regcred/regcred/providers/static"
)

const byHand = canary + "by-hand"

// override is a login by hand for an hour, in the Secret of that name.
func (w *world) override(secret string) *v1alpha1.Override {
	return &v1alpha1.Override{SecretRef: v1alpha1.LocalReference{Name: secret}, Until: metav1.NewTime(w.time.Now().Add(time.Hour))}
}

// breakGlass is a Secret with a login by hand.
func (w *world) breakGlass(name string, content map[string]string) *corev1.Secret {
	w.Helper()
	login := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: name, Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}}}
	login.StringData = content
	w.must(w.admin.Create(w.Context(), login))
	return login
}

// withOverrides is a world whose broker publishes logins by hand, and the Secret that holds one.
func withOverrides(t *testing.T) (w *world, ns string, login *corev1.Secret) {
	t.Helper()
	w, ns = newWorld(t)
	w.Tokens = broker.New(t.Context(), broker.Options{Clock: w.time, Providers: map[string]providers.Provider{"ecr": w.mint, static.Name: static.New(w.time)}})
	login = w.breakGlass(ns, map[string]string{"username": "hand", "password": byHand})
	return w, ns, login
}

// overridden is a credential whose only entry has a login by hand for an hour, in the place of a token.
func overridden(t *testing.T) (w *world, target credential.Target, login *corev1.Secret) {
	t.Helper()
	w, ns, login := withOverrides(t)
	target = w.apply(ns, nil, registry("a", "eu-west-1"))
	w.run(target)
	w.told()
	w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) { c.Spec.Registries[0].Override = w.override(ns) })
	return w, target, login
}

func (w *world) expectPublished(when string, t credential.Target, part string) {
	w.Helper()
	if got := tokens(w.T, w.secret(t))[host("eu-west-1")]; !strings.Contains(got, part) {
		w.Errorf("%s: what is published is not of %s", when, part)
	}
}

func (w *world) expectRegistry(when string, t credential.Target, reason, message string) {
	w.Helper()
	if r := w.report(t).Registries[0]; r.Reason != reason || !strings.Contains(r.Message, message) {
		w.Errorf("%s: status has %q, %q; want %q, %q", when, r.Reason, r.Message, reason, message)
	}
}

func TestALoginByHandTakesThePlaceOfTheTokenWhileItLasts(t *testing.T) {
	w, target, _ := overridden(t)
	result := w.run(target)
	w.expectPublished("at the beginning", target, byHand)
	if result.RequeueAfter <= 0 || result.RequeueAfter > time.Hour {
		t.Errorf("it comes back after %s", result.RequeueAfter)
	}
	until := w.time.Now().Add(time.Hour)
	w.expectRegistry("while it lasts", target, v1alpha1.ReasonOverridden, "until "+until.UTC().Format(time.RFC3339))
	if r := w.report(target).Registries[0]; r.ExpiresAt == nil || !r.ExpiresAt.Time.Equal(until) {
		t.Errorf("status: %+v", r)
	}
	w.expectReady("while it lasts", w.ready(target), metav1.ConditionTrue, v1alpha1.ReasonCurrent)
	if told := w.told(); !strings.Contains(told, "Normal Overridden") {
		t.Errorf("events: %s", told)
	}

	w.step(time.Hour)
	w.run(target)
	w.expectPublished("at its end", target, "eu-west-1")
	w.expectRegistry("at its end", target, "", "")
	w.expectReady("at its end", w.ready(target), metav1.ConditionTrue, v1alpha1.ReasonCurrent)
	if told := w.told(); !strings.Contains(told, "Normal OverrideEnded") || strings.Contains(told, "Expired") {
		t.Errorf("events: %s", told)
	}
	if w.mint.count() != 1 {
		t.Errorf("%d calls: the provider's token was still good, and kept", w.mint.count())
	}
}

func TestTheProviderIsAskedBeforeTheOverrideEnds(t *testing.T) {
	w, target, _ := overridden(t)
	w.run(target)
	w.step(time.Hour - time.Minute)
	asked := make(chan struct{}, 1)
	w.mint.change = func(*providers.Token) { asked <- struct{}{} }
	w.Tokens = broker.New(t.Context(), broker.Options{Clock: w.time, Providers: map[string]providers.Provider{"ecr": w.mint, static.Name: static.New(w.time)}})
	if result := w.run(target); result.RequeueAfter > time.Minute {
		t.Errorf("it comes back after %s", result.RequeueAfter)
	}
	w.expectPublished("a minute before", target, byHand)
	select {
	case <-asked:
	case <-time.After(10 * time.Second):
		t.Fatal("the provider is not asked")
	}
}

func TestALoginByHandStaysUntilTheProviderHasAToken(t *testing.T) {
	w, target, _ := overridden(t)
	w.run(target)
	w.restart()
	w.Tokens = broker.New(t.Context(), broker.Options{Clock: w.time, Providers: map[string]providers.Provider{"ecr": w.mint, static.Name: static.New(w.time)}})
	w.step(time.Hour)
	w.mint.breakWest(errRefused)
	w.run(target)
	w.expectPublished("without a token", target, byHand)
	w.expectReady("without a token", w.ready(target), metav1.ConditionFalse, v1alpha1.ReasonExpired)
	if message := w.ready(target).Message; !strings.Contains(message, "a: the override has ended, and its login stays published until the provider has a token; a: ") {
		t.Errorf("the message is %q", message)
	}
	w.expectRegistry("without a token", target, v1alpha1.ReasonAccessDenied, "")
	w.told()

	w.mint.breakWest(nil)
	w.step(5 * time.Minute)
	w.run(target)
	w.expectPublished("with one", target, "eu-west-1")
	w.expectReady("with one", w.ready(target), metav1.ConditionTrue, v1alpha1.ReasonCurrent)
	if told := w.told(); !strings.Contains(told, "Normal OverrideEnded") {
		t.Errorf("events: %s", told)
	}
}

func TestAnOverrideNeedsNoTokenIfTheEntryNamesItsHosts(t *testing.T) {
	w, ns, _ := withOverrides(t)
	w.mint.breakWest(errRefused)
	entry := registry("a", "eu-west-1")
	entry.ECR.Accounts, entry.Override = []string{"123456789012"}, w.override(ns)
	target := w.apply(ns, nil, entry)
	w.run(target)
	w.expectPublished("from the first", target, byHand)
	w.expectRegistry("from the first", target, v1alpha1.ReasonOverridden, "")
	w.expectReady("from the first", w.ready(target), metav1.ConditionTrue, v1alpha1.ReasonCurrent)
	if told := w.told(); !strings.Contains(told, "Normal Overridden") {
		t.Errorf("events: %s", told)
	}
	if w.mint.count() != 0 {
		t.Errorf("%d calls", w.mint.count())
	}
}

func TestAnOverrideIsLengthenedAndEndedByHand(t *testing.T) {
	w, target, _ := overridden(t)
	w.run(target)
	w.told()
	longer := w.time.Now().Add(3 * time.Hour)
	w.change(target.Credential.Name, func(c *v1alpha1.ClusterRegistryCredential) {
		c.Spec.Registries[0].Override.Until = metav1.NewTime(longer)
	})
	w.run(target)
	w.step(2 * time.Hour)
	w.run(target)
	w.expectPublished("longer", target, byHand)
	w.expectRegistry("longer", target, v1alpha1.ReasonOverridden, "until "+longer.UTC().Format(time.RFC3339))
	w.expectReady("longer", w.ready(target), metav1.ConditionTrue, v1alpha1.ReasonCurrent)

	w.change(target.Credential.Name, func(c *v1alpha1.ClusterRegistryCredential) { c.Spec.Registries[0].Override = nil })
	w.run(target)
	w.expectPublished("removed", target, "eu-west-1")
	w.expectRegistry("removed", target, "", "")
	if told := w.told(); !strings.Contains(told, "Normal OverrideEnded") {
		t.Errorf("events: %s", told)
	}
}

func TestAnOverrideThatCannotTakeEffectIsToldAndTheTokenStaysFresh(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(w *world, login *corev1.Secret, o *v1alpha1.Override)
		reason  string
		message string
	}{
		"too long": {func(w *world, _ *corev1.Secret, o *v1alpha1.Override) {
			o.Until = metav1.NewTime(w.time.Now().Add(30 * 24 * time.Hour))
		},
			v1alpha1.ReasonOverrideInvalid, "override.until is more than 7 days ahead: choose a time at which the provider's token is back"},
		"no Secret": {func(_ *world, _ *corev1.Secret, o *v1alpha1.Override) { o.SecretRef.Name = "nowhere" },
			v1alpha1.ReasonOverrideInvalid, "override.secretRef: Secret regcred-system/nowhere does not exist"},
		"no password": {func(w *world, login *corev1.Secret, _ *v1alpha1.Override) {
			w.must(w.admin.Patch(w.Context(), login, client.RawPatch(types.MergePatchType, []byte(`{"data":{"password":null}}`))))
		}, v1alpha1.ReasonOverrideInvalid, "override.secretRef: "},
	} {
		t.Run(name, func(t *testing.T) {
			w, target, login := overridden(t)
			w.change(target.Credential.Name, func(cr *v1alpha1.ClusterRegistryCredential) { c.change(w, login, cr.Spec.Registries[0].Override) })
			for range 2 { // as it is, and half a life later, when the provider's token is due
				if result := w.run(target); result.RequeueAfter <= 0 || result.RequeueAfter > 30*time.Minute {
					t.Errorf("it comes back after %s", result.RequeueAfter)
				}
				w.expectPublished(name, target, "eu-west-1")
				w.expectRegistry(name, target, c.reason, c.message)
				w.expectReady(name, w.ready(target), metav1.ConditionTrue, v1alpha1.ReasonRefreshFailing)
				w.step(life / 2)
				w.change(target.Credential.Name, func(cr *v1alpha1.ClusterRegistryCredential) {
					cr.Spec.Registries[0].Override.Until.Time = cr.Spec.Registries[0].Override.Until.Add(life / 2)
				})
			}
			if w.mint.count() != 2 {
				t.Errorf("%d calls, want 2: the provider's token is refreshed as ever", w.mint.count())
			}
		})
	}
	t.Run("hosts that nobody knows", func(t *testing.T) {
		w, ns, _ := withOverrides(t)
		w.mint.breakWest(errRefused)
		entry := registry("a", "eu-west-1")
		entry.Override = w.override(ns)
		target := w.apply(ns, nil, entry)
		w.run(target)
		w.expectRegistry("without hosts", target, v1alpha1.ReasonOverrideInvalid,
			"an override is for the hosts of its entry, and this entry leaves them to its token, of which there was none yet")
		w.mint.breakWest(nil)
		w.step(5 * time.Minute)
		w.run(target)
		w.run(target)
		w.expectPublished("once a token has named them", target, byHand)
	})
}
