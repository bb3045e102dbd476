package pulls

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// pod is created as a controller creates it; admission, which would copy the links, is not at work here.
func (p *world) pod(ns, name, image string, change func(*corev1.Pod)) *corev1.Pod {
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
func (p *world) fail(pod *corev1.Pod, text string) {
	p.Helper()
	now := metav1.NewTime(p.time.Now())
	e := kubeletEvent(fmt.Sprintf("Failed to pull image %q: %s", pod.Spec.Containers[0].Image, text))
	e.Namespace, e.GenerateName = pod.Namespace, pod.Name+"."
	e.InvolvedObject = corev1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, FieldPath: "spec.containers{app}"}
	e.FirstTimestamp, e.LastTimestamp, e.Count = now, now, 1
	p.must(p.admin.Create(p.Context(), e))
	p.Take(e)
}

// settle looks into all failures until nothing is left to do; time passes as it must.
func (p *world) settle() {
	p.Helper()
	for len(p.failing.open) > 0 {
		select {
		case f := <-p.queue:
			result, err := p.Reconcile(p.Context(), f)
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

func imageIn(region string) string { return host(region) + "/team/app:v1" }

func TestEveryCauseIsToldOfThePodAndOfTheCredential(t *testing.T) {
	denied := providers.Verdict{Result: providers.PullDenied, Answer: "HTTP status 403, DENIED", Cure: "allow it"}
	for cause, c := range map[string]struct {
		arrange func(p *world)
		image   string
		change  func(*corev1.Pod)
		// linked is whether the pod names the Secret.
		linked bool
		says   string
		kind   string
	}{
		v1alpha1.CauseNotCovered: {image: imageIn("eu-west-2"), linked: true, says: "no credential covers registry " + host("eu-west-2")},
		v1alpha1.CauseTokenMissing: {arrange: func(p *world) {
			p.published.publication.Records = nil
			p.published.fails("the role may not")
		}, linked: true, says: "holds no token of the entry prod yet, and none for registry " + host("eu-west-1") + ": the role may not"},
		v1alpha1.CauseTokenExpired: {arrange: func(p *world) {
			p.published.fails("the role may not")
			p.step(life)
		}, linked: true, says: "has expired at"},
		v1alpha1.CauseTokenRefused: {arrange: func(p *world) {
			p.registry.verdicts(providers.Verdict{Result: providers.LoginRefused, Answer: "HTTP status 401"}, nil)
		}, linked: true, says: "(HTTP status 401): it is replaced"},
		v1alpha1.CausePullDenied: {arrange: func(p *world) { p.registry.verdicts(denied, nil) }, linked: true,
			says: "is fresh, but the controller's own identity may not pull " + host("eu-west-1") + "/team/app (HTTP status 403, DENIED): allow it"},
		v1alpha1.CausePullAllowed: {linked: true, says: "the kubelet tries again by itself", kind: corev1.EventTypeNormal},
		v1alpha1.CauseUndecided: {arrange: func(p *world) {
			p.registry.verdicts(providers.Verdict{}, providers.Errorf(v1alpha1.ReasonUnavailable, "the registry does not answer"))
		}, linked: true, says: "the registry does not answer"},
		v1alpha1.CausePodNamesOwnSecrets: {change: names("mine"), says: "the pod names its own imagePullSecrets (mine)"},
		v1alpha1.CausePodBeforeLink:      {says: "was created before ServiceAccount default was linked"},
		v1alpha1.CauseNotLinked: {arrange: func(p *world) { p.serviceAccount(p.published.namespace, "other") },
			change: func(pod *corev1.Pod) { pod.Spec.ServiceAccountName = "other" }, says: "ServiceAccount other is not among serviceAccounts of ClusterRegistryCredential"},
	} {
		t.Run(cause, func(t *testing.T) {
			p, ns := newWorld(t)
			p.T = t
			if c.arrange != nil {
				c.arrange(p)
			}
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
			if diff := cmp.Diff(map[string]int{p.published.publication.Credential.Name + " " + cause: 1}, p.counted.failures); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}

			// The next try of the kubelet says nothing new.
			p.step(2 * closedFor)
			p.fail(pod, unauthorized)
			p.settle()
			if told := p.told(); told != "" {
				t.Errorf("told again: %s", told)
			}
		})
	}
}

func TestWhatIsNoneOfOursIsLeftAlone(t *testing.T) {
	p, ns := newWorld(t)
	foreign := fmt.Sprintf("%s-foreign", ns)
	p.must(p.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: foreign}}))
	p.serviceAccount(foreign, "default")
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
	if len(p.registry.tried) != 0 {
		t.Errorf("tried %v", p.registry.tried)
	}
	if diff := cmp.Diff(map[string]int{" " + v1alpha1.CauseUnreachable: 1, " " + v1alpha1.CauseImageNotFound: 1}, p.counted.failures); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}

func TestWhatIsOnItsWayIsWaitedFor(t *testing.T) {
	p, ns := newWorld(t)
	records := p.published.publication.Records
	p.published.publication.Records = nil
	p.fail(p.pod(ns, "app", imageIn("eu-west-1"), names(ns)), unauthorized)
	f := <-p.queue
	result, err := p.Reconcile(t.Context(), f)
	p.must(err)
	if result.RequeueAfter != waitFor || p.told() != "" {
		t.Fatalf("looked at again after %s", result.RequeueAfter)
	}
	if len(p.published.alone) != 1 || p.published.alone[0] != p.published.publication.Target {
		t.Errorf("woken: %v, want the target that lacks the token", p.published.alone)
	}
	p.published.publication.Records = records
	p.step(result.RequeueAfter)
	p.queue <- f
	p.settle()
	if told := p.told(); !strings.HasPrefix(told, "Normal "+v1alpha1.CausePullAllowed) || strings.Contains(told, v1alpha1.CauseTokenMissing) {
		t.Errorf("told: %s", told)
	}

	// What never comes is told of in the end.
	late, ns := newWorld(t)
	late.published.publication.Records = nil
	late.fail(late.pod(ns, "app", imageIn("eu-west-1"), names(ns)), unauthorized)
	late.settle()
	if told := late.told(); !strings.Contains(told, "Warning "+v1alpha1.CauseTokenMissing) {
		t.Errorf("told: %s", told)
	}
}

func TestARefusedTokenIsReplacedOnce(t *testing.T) {
	p, ns := newWorld(t)
	p.registry.verdicts(providers.Verdict{Result: providers.LoginRefused, Answer: "HTTP status 401"}, nil)
	for n := range 3 {
		p.fail(p.pod(ns, fmt.Sprintf("app-%d", n), imageIn("eu-west-1"), names(ns)), unauthorized)
	}
	p.settle()
	if p.registry.refusals != 1 || p.published.woken != 1 || len(p.registry.tried) != 1 || len(p.published.condemned) != 0 {
		t.Errorf("%d refusals, woken %d times, tried %v; want one each for three pods", p.registry.refusals, p.published.woken, p.registry.tried)
	}
	if got := p.registry.tenants[0]; got != ns {
		t.Errorf("the trial counts as one of %q", got)
	}
	// What was refused before, and waits for its successor, is not tried again.
	p.step(time.Minute)
	p.fail(p.pod(ns, "waiting", imageIn("eu-west-1"), names(ns)), unauthorized)
	p.settle()
	if p.registry.refusals != 1 || len(p.registry.tried) != 1 {
		t.Errorf("%d refusals, tried %v", p.registry.refusals, p.registry.tried)
	}
}

// What others may have written concerns the Secret in which it stands.
func TestARefusedLoginThatWasNotMintedConcernsOneSecret(t *testing.T) {
	p, ns := newWorld(t)
	p.registry.planted = true
	p.registry.verdicts(providers.Verdict{Result: providers.LoginRefused, Answer: "HTTP status 401"}, nil)
	p.fail(p.pod(ns, "app", imageIn("eu-west-1"), names(ns)), unauthorized)
	p.settle()
	if p.published.woken != 0 || len(p.published.condemned) != 1 || p.published.condemned[0] != p.published.publication.Target {
		t.Errorf("woken %d times, condemned %v", p.published.woken, p.published.condemned)
	}
}

func TestWhoKeepsARefusedPasswordIsTold(t *testing.T) {
	p, ns := newWorld(t)
	p.registry.mend = "replace it in Secret regcred-system/hub-pat"
	p.registry.verdicts(providers.Verdict{Result: providers.LoginRefused, Answer: "HTTP status 401"}, nil)
	p.fail(p.pod(ns, "app", imageIn("eu-west-1"), names(ns)), unauthorized)
	p.settle()
	if told := p.told(); !strings.Contains(told, "(HTTP status 401): replace it in Secret regcred-system/hub-pat") || strings.Contains(told, "it is replaced") {
		t.Errorf("told: %s", told)
	}
}

func TestAFailureThatCannotBeLookedIntoIsForgotten(t *testing.T) {
	p, ns := newWorld(t)
	pod := p.pod(ns, "app", imageIn("eu-west-1"), names(ns))
	p.Live = failingReader{p.admin}
	p.fail(pod, unauthorized)
	p.settle()
	if got := len(p.failing.open); got != 0 {
		t.Errorf("%d failures are open", got)
	}
	p.Live = p.admin
	p.step(closedFor)
	p.fail(pod, unauthorized)
	p.settle()
	if !slices.Contains(p.registry.tried, imageIn("eu-west-1")) {
		t.Error("it was not looked into when the kubelet said it again")
	}
}

var errDown = errors.New("the API server is down")

// failingReader has no pods.
type failingReader struct{ client.Reader }

func (failingReader) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errDown
}
