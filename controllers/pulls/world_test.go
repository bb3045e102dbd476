package pulls

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/diagnosis"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/controllers/target"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/test/controlplane"
)

var cluster *controlplane.ControlPlane

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(controlplane.RunTests(m, controlplane.Options{CRDDirectories: []string{"../../config/crd"}}, func(started *controlplane.ControlPlane) {
		cluster = started
	}))
}

const life = 12 * time.Hour

func host(region string) string { return "123456789012.dkr.ecr." + region + ".amazonaws.com" }

// world is a namespace on a real API server in which pulls fail, and a credential that has published a token for eu-west-1 there.
type world struct {
	*testing.T
	*Reconciler
	published *published
	registry  *registry
	admin     client.Client
	time      *clocktesting.FakePassiveClock
	recorder  *events.FakeRecorder
	queue     chan diagnosis.FailedPull
	counted   *counters
}

// counters keep failures by name of the credential and cause, and evictions by name.
type counters struct{ failures, evictions map[string]int }

func (c *counters) PullFailed(key credential.Key, cause string) { c.failures[key.Name+" "+cause]++ }
func (c *counters) Evicted(key credential.Key)                  { c.evictions[key.Name]++ }

// published stands for the targets of one namespace.
type published struct {
	namespace   string
	publication target.Publication
	woken       int
	// alone are the targets that were woken one by one.
	alone []credential.Target
	// condemned are the targets of which one entry was.
	condemned []credential.Target
}

func (p *published) In(_ context.Context, namespace string) ([]target.Publication, error) {
	if namespace != p.namespace {
		return nil, nil
	}
	return []target.Publication{p.publication}, nil
}

func (p *published) Request(_ context.Context, _ *credential.Credential, entry v1alpha1.Registry) (providers.Request, error) {
	return providers.Request{Registry: entry}, nil
}

func (p *published) Login(_ context.Context, _ target.Publication, _ providers.Request, key string, covers func(string) bool) (providers.Login, error) {
	if !covers(key) {
		return providers.Login{}, fmt.Errorf("asked for the login of %s", key)
	}
	return providers.Login{Username: "AWS", Password: "the-token", Hosts: []string{key}}, nil
}

func (p *published) Condemn(of target.Publication, _ string) {
	p.condemned = append(p.condemned, of.Target)
}

func (p *published) WakeOne(of target.Publication) { p.alone = append(p.alone, of.Target) }

func (p *published) WakeAll(context.Context, *credential.Credential) { p.woken++ }

// fails is why no entry has a new token.
func (p *published) fails(message string) {
	p.publication.Failure = func(string) *credential.Failure {
		return &credential.Failure{Reason: v1alpha1.ReasonAccessDenied, Message: message}
	}
}

// registry stands for all registries: a verdict comes a while after it was asked for.
type registry struct {
	mu      sync.Mutex
	verdict providers.Verdict
	err     error
	known   map[string]bool
	// tried are the images for which logins were tried, and tenants in whose name.
	tried, tenants []string
	// planted is whether the logins in Secrets are not those that were minted.
	planted bool
	// refusedIssuedAt is when the token was issued that was refused, and mend what only somebody else can do about it.
	refusedIssuedAt time.Time
	mend            string
	refusals        int
	clock           *clocktesting.FakePassiveClock
}

func (g *registry) Try(req providers.Request, login providers.Login, pull providers.Pull, w providers.Waiter) (providers.Verdict, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	image := pull.Host + "/" + pull.Repository + ":" + pull.Reference
	if login.Password.Reveal() != "the-token" || len(login.Hosts) != 1 || login.Hosts[0] != pull.Host {
		return providers.Verdict{}, providers.Errorf(v1alpha1.ReasonInternal, "a wrong login is shown")
	}
	if !g.known[image] {
		g.known[image] = true
		g.tried, g.tenants = append(g.tried, image), append(g.tenants, req.Tenant)
		go w.Wake()
		return providers.Verdict{}, &providers.PendingError{Since: g.clock.Now()}
	}
	return g.verdict, g.err
}

func (g *registry) Refuse(_ providers.Request, login providers.Login, host string) bool {
	if g.planted || !slices.Contains(login.Hosts, host) || !g.refusedIssuedAt.IsZero() {
		return false
	}
	g.refusals++
	g.refusedIssuedAt = g.clock.Now()
	return true
}

func (g *registry) RefusedIssuedAt(providers.Request) time.Time { return g.refusedIssuedAt }

func (g *registry) Mend(providers.Request) string { return g.mend }

func (g *registry) verdicts(v providers.Verdict, err error) { g.verdict, g.err = v, err }

func newWorld(t *testing.T) (w *world, ns string) {
	t.Helper()
	now := clocktesting.NewFakePassiveClock(time.Now().Truncate(time.Second))
	w = &world{T: t, time: now, recorder: events.NewFakeRecorder(1000)}
	scheme := runtime.NewScheme()
	w.must(clientgoscheme.AddToScheme(scheme))
	w.must(v1alpha1.AddToScheme(scheme))
	var err error
	w.admin, err = client.New(cluster.Config, client.Options{Scheme: scheme})
	w.must(err)
	ns = fmt.Sprintf("p%d", time.Now().UnixNano())
	w.must(w.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}))
	w.serviceAccount(ns, "default", ns)
	w.registry = &registry{verdict: providers.Verdict{Result: providers.PullAllowed}, known: map[string]bool{}, clock: now}
	w.publish(ns, nil)
	w.lead()
	return w, ns
}

// publish makes the credential, of the namespace's name, publish there.
func (w *world) publish(ns string, change func(*v1alpha1.ClusterCredentialSpec)) {
	w.Helper()
	o := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: ns, UID: "uid"}}
	o.Spec.Registries = []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: "eu-west-1"}}}
	o.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Names: []string{"default"}}
	if change != nil {
		change(&o.Spec)
	}
	c, err := credential.Of(o)
	w.must(err)
	w.published = &published{namespace: ns, publication: target.Publication{
		Credential: c, Target: c.Target(ns),
		Records: map[string]pullsecret.Record{"prod": {Name: "prod", Hosts: []string{host("eu-west-1")}, IssuedAt: w.time.Now(), ExpiresAt: w.time.Now().Add(life)}},
		Failure: func(string) *credential.Failure { return nil },
	}}
}

// lead replaces the reconciler by one that remembers nothing.
func (w *world) lead() {
	w.queue = make(chan diagnosis.FailedPull, 2*failingAtOnce)
	queue := w.queue
	w.counted = &counters{failures: map[string]int{}, evictions: map[string]int{}}
	w.Reconciler = New(Config{
		Published: w.published, Trials: w.registry, Cache: w.admin, Live: w.admin, Client: w.admin, Clock: w.time,
		Events: w.recorder, PodEvents: w.recorder, Counters: w.counted,
		Wake: func(f diagnosis.FailedPull) { queue <- f },
	})
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) serviceAccount(ns, name string, pullSecrets ...string) {
	w.Helper()
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
	for _, s := range pullSecrets {
		sa.ImagePullSecrets = append(sa.ImagePullSecrets, corev1.LocalObjectReference{Name: s})
	}
	w.must(w.admin.Create(w.Context(), sa))
}

// step moves the clock.
func (w *world) step(d time.Duration) { w.time.SetTime(w.time.Now().Add(d)) }

// told returns the events so far.
func (w *world) told() string {
	var all []string
	for len(w.recorder.Events) > 0 {
		all = append(all, <-w.recorder.Events)
	}
	return strings.Join(all, "\n")
}

// kubeletEvent is an event as the kubelet makes it.
func kubeletEvent(message string) *corev1.Event {
	return &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team"},
		Source:     corev1.EventSource{Component: "kubelet", Host: "node-1"}, ReportingController: "kubelet", Reason: "Failed", Type: corev1.EventTypeWarning,
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "team", Name: "app-0", UID: "1", FieldPath: "spec.containers{app}"},
		Message:        message,
	}
}
