package controllers

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/diagnosis"
	"github.com/regcred/regcred/controllers/pulls"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/broker"
)

func (m *mint) Pick(req providers.Request, token providers.Token) (providers.Login, providers.Pull, error) {
	return token.Logins[0], providers.Pull{Host: token.Logins[0].Hosts[0], Repository: req.Registry.Verify.Repository}, nil
}

func (m *mint) Try(_ context.Context, login providers.Login, pull providers.Pull) (providers.Verdict, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tried = append(m.tried, pull.Host+"/"+pull.Repository+":"+pull.Reference)
	return m.verdict(login.Password.Reveal())
}

// verdicts decides on every login.
func (m *mint) verdicts(v providers.Verdict, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.verdict = func(string) (providers.Verdict, error) { return v, err }
}

// refuse makes the registry refuse this token, and take all others.
func (m *mint) refuse(password string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.verdict = func(shown string) (providers.Verdict, error) {
		if shown == password {
			return providers.Verdict{Result: providers.LoginRefused, Answer: "HTTP status 401"}, nil
		}
		return providers.Verdict{Result: providers.PullAllowed}, nil
	}
}

// failedPulls is a world in which pulls fail.
type failedPulls struct {
	*world
	r     *pulls.Reconciler
	queue chan diagnosis.FailedPull
}

func newPulls(t *testing.T) (p *failedPulls, ns string) {
	t.Helper()
	w, ns := newWorld(t)
	w.mint.verdicts(providers.Verdict{Result: providers.PullAllowed}, nil)
	p = &failedPulls{world: w}
	p.lead()
	return p, ns
}

// lead replaces the reconciler by one that remembers nothing.
func (p *failedPulls) lead() {
	p.queue = make(chan diagnosis.FailedPull, 100)
	queue := p.queue
	p.r = pulls.New(pulls.Config{
		Published: p.Reconciler, Trials: p.Tokens.(*broker.Broker), Cache: p.Cache, Live: p.Live, Client: p.Client, Clock: p.time,
		Events: p.recorder, PodEvents: p.recorder, Counters: p.ledger.Ledger,
		Wake: func(f diagnosis.FailedPull) { queue <- f },
	})
}

// pod is created as a controller creates it; admission, which would copy the links, is not at work here.
func (p *failedPulls) pod(ns, name, image string, change func(*corev1.Pod)) *corev1.Pod {
	p.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
	pod.Spec.ServiceAccountName = "default"
	pod.Spec.Containers = []corev1.Container{{Name: "app", Image: image}}
	if change != nil {
		change(pod)
	}
	p.must(p.admin.Create(p.Context(), pod))
	return pod
}

func names(secrets ...string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		for _, s := range secrets {
			pod.Spec.ImagePullSecrets = append(pod.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: s})
		}
	}
}

const unauthorized = "failed to pull and unpack image: failed to resolve reference: unexpected status from HEAD request to https://registry.example/v2/: 401 Unauthorized"

// fail is the event that the kubelet makes.
func (p *failedPulls) fail(pod *corev1.Pod) {
	p.Helper()
	now := metav1.NewTime(p.time.Now())
	e := kubeletEvent(fmt.Sprintf("Failed to pull image %q: %s", pod.Spec.Containers[0].Image, unauthorized))
	e.Namespace, e.GenerateName = pod.Namespace, pod.Name+"."
	e.InvolvedObject = corev1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, FieldPath: "spec.containers{app}"}
	e.FirstTimestamp, e.LastTimestamp, e.Count = now, now, 1
	p.must(p.admin.Create(p.Context(), e))
	p.r.Take(e)
}

// settle looks into all failures until nothing is left to do; time passes as it must.
func (p *failedPulls) settle() {
	p.Helper()
	for p.r.Open() > 0 {
		select {
		case f := <-p.queue:
			result, err := p.r.Reconcile(p.Context(), f)
			p.must(err)
			if result.RequeueAfter > 0 {
				p.step(result.RequeueAfter)
				p.queue <- f
			}
		case <-time.After(10 * time.Second):
			p.Fatal("nobody brings the failure back")
		}
	}
}

var westImage = host("eu-west-1") + "/team/app:v1"

func TestARefusedTokenIsReplacedInAllTargetsAndOnceAMinute(t *testing.T) {
	p, ns := newPulls(t)
	other := ns + "-b"
	p.must(p.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: other, Labels: map[string]string{"team": ns}}}))
	p.serviceAccount(other, "default", nil)
	first := p.apply(ns, nil, registry("prod", "eu-west-1"), registry("second", "eu-west-2"))
	second := credential.Target{Credential: first.Credential, Namespace: other, Name: first.Name}
	for _, target := range []credential.Target{first, second} {
		p.run(target)
	}
	p.told()
	before := map[credential.Target]map[string]string{first: tokens(t, p.secret(first)), second: tokens(t, p.secret(second))}
	uid := p.secret(first).UID
	minted := p.mint.count()

	p.mint.refuse(before[first][host("eu-west-1")])
	p.step(time.Minute)
	for i := range 3 {
		p.fail(p.pod(ns, fmt.Sprintf("app-%d", i), westImage, names(ns)))
	}
	p.settle()
	woken := map[credential.Target]bool{}
	for len(p.woken) > 0 {
		woken[<-p.woken] = true
	}
	if diff := cmp.Diff(map[credential.Target]bool{first: true, second: true}, woken); diff != "" {
		t.Fatalf("woken (-want +got):\n%s", diff)
	}
	if ready := p.ready(first); ready.Status != metav1.ConditionTrue {
		t.Errorf("before the targets know: %s", ready.Message)
	}
	for target := range woken {
		p.run(target)
		after := tokens(t, p.secret(target))
		if after[host("eu-west-1")] == before[target][host("eu-west-1")] {
			t.Errorf("%s still holds the refused token", target.Namespace)
		}
		if after[host("eu-west-2")] != before[target][host("eu-west-2")] {
			t.Errorf("%s: the token of the other entry was replaced, too", target.Namespace)
		}
	}
	if got := p.mint.count() - minted; got != 1 {
		t.Errorf("%d tokens minted, want 1 for both targets", got)
	}
	if p.secret(first).UID != uid {
		t.Error("the Secret was replaced")
	}
	if told := p.told() + "\n"; p.report(first) == nil || strings.Count(told, v1alpha1.CauseTokenRefused) != 4 {
		t.Errorf("told: %s", told)
	}
	if told := p.told(); !strings.Contains(told, "Rotated") || !strings.Contains(told, "prod was refused by its registry") {
		t.Errorf("told after the refresh: %s", told)
	}
	if len(p.mint.tried) != 1 {
		t.Errorf("tried %v, want one trial for three pods", p.mint.tried)
	}

	// The next is refused as well: within the minute nothing is minted, and after it one token.
	p.mint.refuse(tokens(t, p.secret(first))[host("eu-west-1")])
	minted = p.mint.count()
	for range 5 {
		p.step(30 * time.Second)
		p.fail(p.pod(ns, fmt.Sprintf("late-%d", time.Now().UnixNano()), westImage, names(ns)))
		p.settle()
		for len(p.woken) > 0 {
			<-p.woken
		}
		p.run(first)
		p.run(second)
	}
	if got := p.mint.count() - minted; got != 1 {
		t.Errorf("%d tokens minted in 150 seconds for a token that was refused once, want 1", got)
	}
	// A restart forgets the refusal, and mints nothing for it.
	minted = p.mint.count()
	p.restart()
	p.run(first)
	p.run(second)
	if got := p.mint.count() - minted; got != 0 {
		t.Errorf("%d tokens minted after a restart", got)
	}
}

func TestARefusedTokenThatCannotBeReplacedIsReported(t *testing.T) {
	p, ns := newPulls(t)
	target := p.apply(ns, nil, registry("prod", "eu-west-1"))
	p.run(target)
	before := tokens(t, p.secret(target))
	p.mint.refuse(before[host("eu-west-1")])
	p.mint.breakWest(errRefused)
	p.step(time.Minute)
	p.fail(p.pod(ns, "app", westImage, names(ns)))
	p.settle()
	p.run(target)
	if diff := cmp.Diff(before, tokens(t, p.secret(target))); diff != "" {
		t.Error("the Secret has changed, although there is nothing better")
	}
	if ready := p.ready(target); ready.Status != metav1.ConditionFalse || ready.Reason != v1alpha1.ReasonAccessDenied {
		t.Errorf("Ready=%s %s: %s", ready.Status, ready.Reason, ready.Message)
	}
	p.mint.breakWest(nil)
	p.step(10 * time.Minute)
	p.run(target)
	if ready := p.ready(target); ready.Status != metav1.ConditionTrue {
		t.Errorf("Ready=%s %s: %s", ready.Status, ready.Reason, ready.Message)
	}
}

// A password that only a person can replace, revoked at the registry: whoever keeps it is told, and nothing is written again and again.
func TestARefusedPasswordIsToldOnceAndNothingIsRewritten(t *testing.T) {
	p, ns := newPulls(t)
	keys := &corev1.Secret{StringData: map[string]string{"password": canary}, ObjectMeta: metav1.ObjectMeta{
		Namespace: home, Name: ns, Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}}}
	p.must(p.admin.Create(t.Context(), keys))
	p.mint.change = func(token *providers.Token) {
		token.ID, token.Copied, token.ExpiresAt = "", true, providers.Never
		token.Logins[0].Password = canary + "revoked"
	}
	entry := registry("prod", "eu-west-1")
	entry.Identity = &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: ns}}
	targets := []credential.Target{p.apply(ns, nil, entry)}
	for n := range 4 {
		other := fmt.Sprintf("%s-%d", ns, n)
		p.must(p.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: other, Labels: map[string]string{"team": ns}}}))
		targets = append(targets, credential.Target{Credential: targets[0].Credential, Namespace: other, Name: targets[0].Name})
	}
	before := map[credential.Target]string{}
	for _, target := range targets {
		p.run(target)
		before[target] = p.secret(target).ResourceVersion
	}
	p.told()
	p.mint.refuse(canary + "revoked")
	told := ""
	for n := range 5 {
		p.step(time.Minute)
		p.fail(p.pod(ns, fmt.Sprintf("app-%d", n), westImage, names(ns)))
		p.settle()
		for _, target := range targets {
			p.run(target)
			if now := p.secret(target).ResourceVersion; now != before[target] {
				t.Fatalf("after %d minutes the Secret of %s was written", n+1, target.Namespace)
			}
		}
		told += p.told()
		if ready := p.ready(targets[0]); ready.Status != metav1.ConditionFalse || ready.Reason != v1alpha1.ReasonTokenRefused {
			t.Fatalf("Ready=%s %s: %s", ready.Status, ready.Reason, ready.Message)
		}
		told += p.told()
	}
	if !strings.Contains(told, "replace it in Secret "+home+"/"+ns) || strings.Contains(told, "it is replaced") {
		t.Errorf("told: %s", told)
	}
}

func TestAfterARestartTheTokenIsTakenFromTheSecret(t *testing.T) {
	p, ns := newPulls(t)
	target := p.apply(ns, nil, registry("prod", "eu-west-1"))
	p.run(target)
	refused := tokens(t, p.secret(target))[host("eu-west-1")]
	p.restart()
	p.lead()
	p.mint.refuse(refused)
	p.fail(p.pod(ns, "app", westImage, names(ns)))
	p.settle()
	p.run(target)
	if after := tokens(t, p.secret(target))[host("eu-west-1")]; after == refused {
		t.Error("the Secret still holds the refused token")
	}
}

// Whoever may write the Secret's annotations must not choose where its token is shown.
func TestATokenIsShownOnlyWhereItBelongs(t *testing.T) {
	p, ns := newPulls(t)
	target := p.apply(ns, nil, registry("prod", "eu-west-1"))
	p.run(target)
	p.restart()
	p.lead()
	secret := p.secret(target)
	secret.Annotations[pullsecret.AnnotationRegistries] = strings.ReplaceAll(secret.Annotations[pullsecret.AnnotationRegistries], host("eu-west-1"), "evil.example")
	p.must(p.admin.Update(t.Context(), secret, client.FieldOwner(v1alpha1.FieldManager))) // which anybody may say
	p.fail(p.pod(ns, "app", "evil.example/team/app:v1", names(ns)))
	p.settle()
	if len(p.mint.tried) != 0 {
		t.Errorf("the token was shown to %v", p.mint.tried)
	}
	if told := p.told(); !strings.Contains(told, v1alpha1.CauseUndecided) {
		t.Errorf("told: %s", told)
	}
}
