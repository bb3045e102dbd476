package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

func (m *mint) Try(_ context.Context, _ providers.Request, login providers.Login, pull providers.Pull) (providers.Verdict, error) {
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

// pulls is a world in which pulls fail.
type pulls struct {
	*world
	r       *PullReconciler
	queue   chan FailedPull
	metrics *prometheus.Registry
}

func newPulls(t *testing.T) (p *pulls, ns string) {
	t.Helper()
	w, ns := newWorld(t)
	w.mint.verdicts(providers.Verdict{Result: providers.PullAllowed}, nil)
	p = &pulls{world: w}
	p.lead()
	return p, ns
}

// lead replaces the reconciler by one that remembers nothing.
func (p *pulls) lead() {
	p.queue = make(chan FailedPull, 2*failingAtOnce)
	queue := p.queue
	p.metrics = prometheus.NewRegistry()
	p.r = NewPullReconciler(p.TargetReconciler, p.Tokens.(telling), p.recorder, NewPullFailures(p.metrics))
	p.r.PodEvents = p.recorder
	p.r.Wake = func(f FailedPull) { queue <- f }
}

// pod is created as a controller creates it; admission, which would copy the links, is not at work here.
func (p *pulls) pod(ns, name, image string, change func(*corev1.Pod)) *corev1.Pod {
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
func (p *pulls) fail(pod *corev1.Pod, text string) {
	p.Helper()
	now := metav1.NewTime(p.time.Now())
	e := kubeletEvent(fmt.Sprintf("Failed to pull image %q: %s", pod.Spec.Containers[0].Image, text))
	e.Namespace, e.GenerateName = pod.Namespace, pod.Name+"."
	e.InvolvedObject = corev1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, FieldPath: "spec.containers{app}"}
	e.FirstTimestamp, e.LastTimestamp, e.Count = now, now, 1
	p.must(p.admin.Create(p.Context(), e))
	p.r.take(e)
}

// settle looks into all failures until nothing is left to do; time passes as it must.
func (p *pulls) settle() {
	p.Helper()
	for len(p.r.failing.open) > 0 {
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

func (p *pulls) counted() map[string]float64 {
	p.Helper()
	families, err := p.metrics.Gather()
	p.must(err)
	counts := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			counts[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
		}
	}
	return counts
}

func imageIn(region string) string { return host(region) + "/team/app:v1" }

func TestEveryCauseIsToldOfThePodAndOfTheCredential(t *testing.T) {
	denied := providers.Verdict{Result: providers.PullDenied, Answer: "HTTP status 403, DENIED", Cure: "allow it"}
	for cause, c := range map[string]struct {
		arrange func(p *pulls, target Target)
		image   string
		change  func(*corev1.Pod)
		// linked is whether the pod names the Secret.
		linked bool
		says   string
		kind   string
	}{
		v1alpha1.CauseNotCovered: {image: imageIn("eu-west-2"), linked: true, says: "no credential covers registry " + host("eu-west-2")},
		v1alpha1.CauseTokenMissing: {arrange: func(p *pulls, target Target) {
			p.must(p.admin.Delete(t.Context(), p.secret(target)))
			p.mint.breakWest(errRefused)
			p.restart()
			p.lead()
			p.run(target)
		}, linked: true, says: "holds no token of the entry prod yet, and none for registry " + host("eu-west-1") + ": the role may not"},
		v1alpha1.CauseTokenExpired: {arrange: func(p *pulls, target Target) {
			p.mint.breakWest(errRefused)
			p.step(life)
			p.run(target)
		}, linked: true, says: "has expired at"},
		v1alpha1.CauseTokenRefused: {arrange: func(p *pulls, _ Target) {
			p.mint.verdicts(providers.Verdict{Result: providers.LoginRefused, Answer: "HTTP status 401"}, nil)
		}, linked: true, says: "(HTTP status 401): it is replaced"},
		v1alpha1.CausePullDenied: {arrange: func(p *pulls, _ Target) { p.mint.verdicts(denied, nil) }, linked: true,
			says: "is fresh, but the controller's own identity may not pull " + host("eu-west-1") + "/team/app (HTTP status 403, DENIED): allow it"},
		v1alpha1.CausePullAllowed: {linked: true, says: "the kubelet tries again by itself", kind: corev1.EventTypeNormal},
		v1alpha1.CauseUndecided: {arrange: func(p *pulls, _ Target) {
			p.mint.verdicts(providers.Verdict{}, providers.Errorf(v1alpha1.ReasonUnavailable, "the registry does not answer"))
		}, linked: true, says: "the registry does not answer"},
		v1alpha1.CausePodNamesOwnSecrets: {change: names("mine"), says: "the pod names its own imagePullSecrets (mine)"},
		v1alpha1.CausePodBeforeLink:      {says: "was created before ServiceAccount default was linked"},
		v1alpha1.CauseNotLinked: {arrange: func(p *pulls, target Target) { p.serviceAccount(target.Namespace, "other", nil) },
			change: func(pod *corev1.Pod) { pod.Spec.ServiceAccountName = "other" }, says: "ServiceAccount other is not among serviceAccounts of ClusterRegistryCredential"},
	} {
		t.Run(cause, func(t *testing.T) {
			p, ns := newPulls(t)
			p.T = t
			target := p.apply(ns, nil, registry("prod", "eu-west-1"))
			p.run(target)
			if c.arrange != nil {
				c.arrange(p, target)
			}
			p.told()
			if c.image == "" {
				c.image = imageIn("eu-west-1")
			}
			pod := p.pod(ns, "app", c.image, func(pod *corev1.Pod) {
				if c.linked {
					names(ns)(pod)
				}
				if c.change != nil {
					c.change(pod)
				}
			})
			p.fail(pod, unauthorized)
			p.settle()

			if c.kind == "" {
				c.kind = corev1.EventTypeWarning
			}
			var want int
			told := strings.Split(p.told(), "\n")
			for _, line := range told {
				if strings.HasPrefix(line, c.kind+" "+cause+" ") && strings.Contains(line, c.says) {
					want++
				}
			}
			expected := 2
			if c.kind == corev1.EventTypeNormal {
				expected = 1
			}
			if want != expected || len(told) != expected {
				t.Errorf("told:\n%s\nwant %d × %s %s … %s", strings.Join(told, "\n"), expected, c.kind, cause, c.says)
			}
			if expected == 2 && !strings.Contains(told[1], ns+": pod app: ") {
				t.Errorf("the credential's event names no pod: %s", told[1])
			}
			if diff := cmp.Diff(map[string]float64{cause: 1}, p.counted()); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}

			// The next try of the kubelet says nothing new.
			p.step(2 * lookAgain)
			p.fail(pod, unauthorized)
			p.settle()
			if told := p.told(); told != "" {
				t.Errorf("told again: %s", told)
			}
		})
	}
}

func TestWhatIsNoneOfOursIsLeftAlone(t *testing.T) {
	p, ns := newPulls(t)
	p.run(p.apply(ns, nil, registry("prod", "eu-west-1")))
	p.told()
	foreign := fmt.Sprintf("%s-foreign", ns)
	p.must(p.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: foreign}}))
	p.serviceAccount(foreign, "default", nil)
	p.fail(p.pod(foreign, "app", imageIn("eu-west-1"), nil), unauthorized)
	p.fail(p.pod(ns, "network", imageIn("eu-west-1"), names(ns)), "dial tcp 10.0.0.1:443: i/o timeout")
	p.fail(p.pod(ns, "missing", imageIn("eu-west-1"), names(ns)), imageIn("eu-west-1")+": not found")

	// An event of a pod that has gone and come again, of one that runs by now, and of an image that it does not have.
	gone := p.pod(ns, "gone", imageIn("eu-west-1"), names(ns))
	gone.UID = "another"
	p.fail(gone, unauthorized)
	running := p.pod(ns, "running", imageIn("eu-west-1"), names(ns))
	running.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", Image: imageIn("eu-west-1"), State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	p.must(p.admin.Status().Update(t.Context(), running))
	p.fail(running, unauthorized)
	lied := p.pod(ns, "lied", imageIn("eu-west-1"), names(ns))
	lied.Spec.Containers[0].Image = host("eu-west-1") + "/secret/repository"
	p.fail(lied, unauthorized)
	p.settle()

	if told := p.told(); told != "" {
		t.Errorf("told: %s", told)
	}
	if len(p.mint.tried) != 0 {
		t.Errorf("tried %v", p.mint.tried)
	}
	if diff := cmp.Diff(map[string]float64{v1alpha1.CauseUnreachable: 1, v1alpha1.CauseImageNotFound: 1}, p.counted()); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}

func TestARefusedTokenIsReplacedInAllTargetsAndOnceAMinute(t *testing.T) {
	p, ns := newPulls(t)
	other := ns + "-b"
	p.must(p.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: other, Labels: map[string]string{"team": ns}}}))
	p.serviceAccount(other, "default", nil)
	first := p.apply(ns, nil, registry("prod", "eu-west-1"), registry("second", "eu-west-2"))
	second := Target{Credential: first.Credential, Namespace: other}
	for _, target := range []Target{first, second} {
		p.run(target)
	}
	p.told()
	before := map[Target]map[string]string{first: tokens(t, p.secret(first)), second: tokens(t, p.secret(second))}
	uid := p.secret(first).UID
	minted := p.mint.count()

	p.mint.refuse(before[first][host("eu-west-1")])
	p.step(time.Minute)
	for i := range 3 {
		p.fail(p.pod(ns, fmt.Sprintf("app-%d", i), imageIn("eu-west-1"), names(ns)), unauthorized)
	}
	p.settle()
	woken := map[Target]bool{}
	for len(p.woken) > 0 {
		woken[<-p.woken] = true
	}
	if diff := cmp.Diff(map[Target]bool{first: true, second: true}, woken); diff != "" {
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
		p.fail(p.pod(ns, fmt.Sprintf("late-%d", time.Now().UnixNano()), imageIn("eu-west-1"), names(ns)), unauthorized)
		p.settle()
		for len(p.woken) > 0 {
			p.run(<-p.woken)
		}
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
	p.fail(p.pod(ns, "app", imageIn("eu-west-1"), names(ns)), unauthorized)
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

func TestAfterARestartTheTokenIsTakenFromTheSecret(t *testing.T) {
	p, ns := newPulls(t)
	target := p.apply(ns, nil, registry("prod", "eu-west-1"))
	p.run(target)
	refused := tokens(t, p.secret(target))[host("eu-west-1")]
	p.restart()
	p.lead()
	p.mint.refuse(refused)
	p.fail(p.pod(ns, "app", imageIn("eu-west-1"), names(ns)), unauthorized)
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
	secret.Annotations[annotationRegistries] = strings.ReplaceAll(secret.Annotations[annotationRegistries], host("eu-west-1"), "evil.example")
	p.must(p.admin.Update(t.Context(), secret))
	p.fail(p.pod(ns, "app", "evil.example/team/app:v1", names(ns)), unauthorized)
	p.settle()
	if len(p.mint.tried) != 0 {
		t.Errorf("the token was shown to %v", p.mint.tried)
	}
	if told := p.told(); !strings.Contains(told, v1alpha1.CauseUndecided) {
		t.Errorf("told: %s", told)
	}
}

func TestWhatIsOnItsWayIsWaitedFor(t *testing.T) {
	p, ns := newPulls(t)
	target := p.apply(ns, nil, registry("prod", "eu-west-1"))
	pod := p.pod(ns, "app", imageIn("eu-west-1"), names(ns))
	p.fail(pod, unauthorized)
	f := <-p.queue
	result, err := p.r.Reconcile(t.Context(), f)
	p.must(err)
	if result.RequeueAfter != expectFor || p.told() != "" {
		t.Fatalf("looked at again after %s", result.RequeueAfter)
	}
	p.run(target)
	p.told()
	p.step(result.RequeueAfter)
	p.queue <- f
	p.settle()
	if told := p.told(); !strings.HasPrefix(told, "Normal "+v1alpha1.CausePullAllowed) || strings.Contains(told, v1alpha1.CauseTokenMissing) {
		t.Errorf("told: %s", told)
	}

	// What never comes is told of in the end.
	late, ns := newPulls(t)
	late.apply(ns, nil, registry("prod", "eu-west-1"))
	late.fail(late.pod(ns, "app", imageIn("eu-west-1"), names(ns)), unauthorized)
	late.settle()
	if told := late.told(); !strings.Contains(told, "Warning "+v1alpha1.CauseTokenMissing) {
		t.Errorf("told: %s", told)
	}
}

func TestAFailureThatCannotBeLookedIntoIsForgotten(t *testing.T) {
	p, ns := newPulls(t)
	p.run(p.apply(ns, nil, registry("prod", "eu-west-1")))
	pod := p.pod(ns, "app", imageIn("eu-west-1"), names(ns))
	p.Live = failingReader{p.admin}
	p.fail(pod, unauthorized)
	p.settle()
	if got := len(p.r.failing.open); got != 0 {
		t.Errorf("%d failures are open", got)
	}
	p.Live = p.admin
	p.step(lookAgain)
	p.fail(pod, unauthorized)
	p.settle()
	if !slices.Contains(p.mint.tried, imageIn("eu-west-1")) {
		t.Error("it was not looked into when the kubelet said it again")
	}
}

var errDown = errors.New("the API server is down")

// failingReader has no pods.
type failingReader struct{ client.Reader }

func (failingReader) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errDown
}
