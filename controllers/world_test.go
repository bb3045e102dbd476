package controllers

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/controllers/report"
	"github.com/regcred/regcred/controllers/target"
	"github.com/regcred/regcred/controllers/view"
	"github.com/regcred/regcred/internal/apiserver"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/broker"
)

const (
	// unseen is when a target is looked at again whose last write the cache does not show yet.
	unseen = apiserver.CacheLag
	// pendingGrace is how long a Secret waits for all of its entries.
	pendingGrace = 2 * time.Second
	// missingSecret is how long a Secret without the label of an identity is not looked at again.
	missingSecret = 30 * time.Second
	// settle is how long a status waits for targets that were not heard of.
	settle = 5 * time.Second
	// jitterShare is the part of a token's life over which refreshes are spread.
	jitterShare = 10

	life        = 12 * time.Hour
	home        = "regcred-system"
	canary      = "canary-token-"
	defaultName = "regcred"
)

// mint is a cloud: it gives each region a token of its own, or fails.
type mint struct {
	clock *clocktesting.FakePassiveClock

	mu     sync.Mutex
	calls  int
	fail   map[string]error
	hang   map[string]bool
	asked  []providers.Request
	serial int
	// padding makes passwords longer.
	padding string
	// change alters the tokens.
	change func(*providers.Token)
	// ids starts the IDs of tokens: tests share an API server, and must not hold one another's.
	ids string
	// verdict is the registry's on a login.
	verdict func(password string) (providers.Verdict, error)
	// tried are the repositories for which logins were tried.
	tried []string
}

func (m *mint) Token(ctx context.Context, req providers.Request) (providers.Token, error) {
	region, account := "", "123456789012"
	if ecr := req.Registry.ECR; ecr != nil {
		region = ecr.Region
		if len(ecr.Accounts) > 0 {
			account = ecr.Accounts[0]
		}
	}
	m.mu.Lock()
	m.calls++
	m.serial++
	m.asked = append(m.asked, req)
	serial, err, hang := m.serial, m.fail[region], m.hang[region]
	m.mu.Unlock()
	if hang {
		<-ctx.Done()
		return providers.Token{}, ctx.Err()
	}
	if err != nil {
		return providers.Token{}, err
	}
	token := providers.Token{
		Logins: []providers.Login{{
			Username: "AWS", Password: providers.Sensitive(fmt.Sprintf("%s%s-%d%s", canary, region, serial, m.padding)),
			Hosts: []string{hostIn(account, region)},
		}},
		ExpiresAt: m.clock.Now().Add(life),
	}
	if m.change != nil {
		token.ID = fmt.Sprintf("%s-%d", m.ids, serial)
		m.change(&token)
	}
	return token, nil
}

// Annotations are those of ServiceAccounts that the cloud reads.
func (*mint) Annotations() []string { return []string{"role"} }

// Hosts are known if the entry names its accounts.
func (*mint) Hosts(entry *v1alpha1.Registry) []string {
	var hosts []string
	for _, account := range entry.ECR.Accounts {
		hosts = append(hosts, hostIn(account, entry.ECR.Region))
	}
	return hosts
}

// breakWest makes eu-west-1 fail; nil mends it.
func (m *mint) breakWest(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail["eu-west-1"] = err
}

func (m *mint) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

func hostIn(account, region string) string { return account + ".dkr.ecr." + region + ".amazonaws.com" }

func host(region string) string { return hostIn("123456789012", region) }

// world is a controller on a real API server, with a clock of its own. It reads past caches, so what it does is seen at once.
type world struct {
	*testing.T
	*target.Reconciler
	status *report.StatusReconciler
	ledger *ledger
	// admin is somebody else than the controller.
	admin    client.Client
	time     *clocktesting.FakePassiveClock
	mint     *mint
	recorder *events.FakeRecorder
	woken    chan credential.Target
	// retired are the names of tokens that are no longer handed out.
	retired chan providers.TokenName
	// names is what the test's objects are called.
	names string
}

// newWorld starts a controller; ns is a namespace of the test's own, with the label team=<its name>.
func newWorld(t *testing.T) (w *world, ns string) {
	t.Helper()
	now := clocktesting.NewFakePassiveClock(time.Now().Truncate(time.Second))
	w = &world{T: t, time: now, mint: &mint{clock: now, fail: map[string]error{}, hang: map[string]bool{}}}
	scheme := runtime.NewScheme()
	w.must(clientgoscheme.AddToScheme(scheme))
	w.must(v1alpha1.AddToScheme(scheme))
	var err error
	w.admin, err = client.New(cluster.Config, client.Options{Scheme: scheme})
	w.must(err)
	w.restart()
	ns = fmt.Sprintf("t%d", time.Now().UnixNano())
	w.mint.ids = ns
	w.must(w.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns, Labels: map[string]string{"team": ns}}}))
	w.must(client.IgnoreAlreadyExists(w.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: home}})))
	w.serviceAccount(ns, "default", nil)
	return w, ns
}

// restart replaces the controller by one that remembers nothing.
func (w *world) restart() {
	woken := make(chan credential.Target, 1000)
	w.woken = woken
	w.recorder = events.NewFakeRecorder(1000)
	ours := client.WithFieldOwner(w.admin, v1alpha1.FieldManager)
	w.ledger = &ledger{Ledger: &report.Ledger{Clock: w.time, Changed: func(credential.Key) {}}, pending: map[credential.Target]bool{}}
	w.retired = make(chan providers.TokenName, 100)
	w.Reconciler = target.New(target.Config{
		Cache: labelled{w.admin}, Live: w.admin, Client: ours, Clock: w.time, Namespace: home, Outcomes: w.ledger,
		Tokens:   newTokens(w),
		Excluded: view.Excluded{"kube-system"},
		Wake:     func(t credential.Target, _ int) { woken <- t },
	})
	w.status = &report.StatusReconciler{Cache: w.admin, Client: ours, Clock: w.time, Events: w.recorder, Excluded: w.Excluded, Ledger: w.ledger.Ledger,
		Unused: func(key credential.Key) { w.Unused(key) }}
}

// newTokens is a broker that has minted nothing yet.
func newTokens(w *world) target.Tokens {
	return broker.New(w.Context(), broker.Options{Clock: w.time, Providers: map[string]providers.Provider{"ecr": w.mint, "ecrPublic": w.mint}, Trials: w.mint,
		Retired: func(_ string, name providers.TokenName) { w.retired <- name }})
}

// exclude adds to the namespaces that are never served.
func (w *world) exclude(namespaces ...string) {
	w.Excluded = append(w.Excluded, namespaces...)
	w.status.Excluded = w.Excluded
}

// ledger knows which targets wait for a call.
type ledger struct {
	*report.Ledger
	mu      sync.Mutex
	pending map[credential.Target]bool
	// links are those that were changed so far.
	links link.Changes
}

func (l *ledger) Linked(key credential.Key, done link.Changes) {
	l.links.Add(done)
	l.Ledger.Linked(key, done)
}

func (l *ledger) Report(c *credential.Credential, t credential.Target, out target.Outcome) {
	l.mu.Lock()
	l.pending[t] = slices.ContainsFunc(out.Entries, (*target.EntryState).Pending)
	l.mu.Unlock()
	l.Ledger.Report(c, t, out)
}

func (l *ledger) Forget(t credential.Target) {
	l.mu.Lock()
	delete(l.pending, t)
	l.mu.Unlock()
	l.Ledger.Forget(t)
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// registry is an entry for ECR in a region.
func registry(name, region string) v1alpha1.Registry {
	return v1alpha1.Registry{Name: name, ECR: &v1alpha1.ECR{Region: region}}
}

// apply creates a cluster-wide credential for the namespace; its name is the namespace's, so that tests do not meet.
func (w *world) apply(ns string, change func(*v1alpha1.ClusterCredentialSpec), entries ...v1alpha1.Registry) credential.Target {
	w.Helper()
	c := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: ns}}
	c.Spec.Registries = entries
	c.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{"team": v1alpha1.LabelValue(ns)}
	c.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Names: []string{"default"}}
	if change != nil {
		change(&c.Spec)
	}
	w.must(w.admin.Create(w.Context(), c))
	return credential.Target{Credential: credential.KeyOf(c), Namespace: ns, Name: c.Spec.NameOfSecret(c.Name)}
}

func (w *world) credential(name string) *v1alpha1.ClusterRegistryCredential {
	w.Helper()
	c := &v1alpha1.ClusterRegistryCredential{}
	w.must(w.admin.Get(w.Context(), client.ObjectKey{Name: name}, c))
	return c
}

// change edits the spec of a cluster-wide credential.
func (w *world) change(name string, edit func(*v1alpha1.ClusterRegistryCredential)) {
	w.Helper()
	c := w.credential(name)
	edit(c)
	w.must(w.admin.Update(w.Context(), c))
}

func (w *world) serviceAccount(ns, name string, annotations map[string]string, pullSecrets ...string) {
	w.Helper()
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Annotations: annotations}}
	for _, s := range pullSecrets {
		sa.ImagePullSecrets = append(sa.ImagePullSecrets, corev1.LocalObjectReference{Name: s})
	}
	w.must(w.admin.Create(w.Context(), sa))
}

// links are the names in the ServiceAccount's imagePullSecrets.
func (w *world) links(ns, name string) []string {
	w.Helper()
	sa := &corev1.ServiceAccount{}
	w.must(w.admin.Get(w.Context(), client.ObjectKey{Namespace: ns, Name: name}, sa))
	names := []string{}
	for _, s := range sa.ImagePullSecrets {
		names = append(names, s.Name)
	}
	return names
}

// run reconciles the target until it waits for nothing but time.
func (w *world) run(t credential.Target) reconcile.Result {
	w.Helper()
	for range 10 {
		result, err := w.Reconcile(w.Context(), t)
		w.must(err)
		if !w.waits(t) || result.RequeueAfter == unseen {
			return result
		}
		select {
		case <-w.woken:
		case <-time.After(10 * time.Second):
			w.Fatal("nobody woke the target")
		}
	}
	w.Fatal("the target does not come to rest")
	return reconcile.Result{}
}

// waits says whether a call is under way for the target that will end.
func (w *world) waits(t credential.Target) bool {
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	return w.ledger.pending[t] && len(w.mint.hang) == 0
}

func (w *world) secret(t credential.Target) *corev1.Secret {
	w.Helper()
	s := &corev1.Secret{}
	w.must(w.admin.Get(w.Context(), t.Secret(), s))
	return s
}

// tokens are the passwords in a Secret, by host.
func tokens(t *testing.T, s *corev1.Secret) map[string]string {
	t.Helper()
	var config map[string]map[string]map[string]string
	if err := json.Unmarshal(s.Data[corev1.DockerConfigJsonKey], &config); err != nil {
		t.Fatal("the content is not a docker config")
	}
	byHost := map[string]string{}
	for host, fields := range config["auths"] {
		if got := slices.Collect(maps.Keys(fields)); len(got) != 1 || got[0] != "auth" {
			t.Errorf("%s has the fields %v, want auth alone", host, got)
		}
		decoded, err := base64.StdEncoding.DecodeString(fields["auth"])
		if err != nil {
			t.Fatal("auth is not base64")
		}
		_, byHost[host], _ = strings.Cut(string(decoded), ":")
	}
	return byHost
}

// step moves the clock.
func (w *world) step(d time.Duration) { w.time.SetTime(w.time.Now().Add(d)) }

// statusOf reports and returns the status of the cluster-wide credential.
func (w *world) report(t credential.Target) *v1alpha1.ClusterCredentialStatus {
	w.Helper()
	_, err := w.status.Reconcile(w.Context(), t.Credential)
	w.must(err)
	var o client.Object = &v1alpha1.ClusterRegistryCredential{}
	if t.Credential.Namespace != "" {
		o = &v1alpha1.RegistryCredential{}
	}
	w.must(w.admin.Get(w.Context(), client.ObjectKey(t.Credential), o))
	if own, ok := o.(*v1alpha1.RegistryCredential); ok {
		return &v1alpha1.ClusterCredentialStatus{CredentialStatus: own.Status}
	}
	return &o.(*v1alpha1.ClusterRegistryCredential).Status
}

// bury lets the status see that the credential is gone.
func (w *world) bury(t credential.Target) {
	w.Helper()
	_, err := w.status.Reconcile(w.Context(), t.Credential)
	w.must(err)
}

func (w *world) ready(t credential.Target) metav1.Condition {
	w.Helper()
	ready := meta.FindStatusCondition(w.report(t).Conditions, v1alpha1.ConditionReady)
	if ready == nil {
		w.Fatal("no Ready condition")
	}
	return *ready
}

// told returns the events so far.
func (w *world) told() string {
	var all []string
	for len(w.recorder.Events) > 0 {
		all = append(all, <-w.recorder.Events)
	}
	return strings.Join(all, "\n")
}

var errRefused = &providers.Error{Reason: v1alpha1.ReasonAccessDenied, Err: errors.New("the role may not")}

// kubeletEvent is an event as the kubelet makes it.
func kubeletEvent(message string) *corev1.Event {
	return &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team"},
		Source:     corev1.EventSource{Component: "kubelet", Host: "node-1"}, ReportingController: "kubelet", Reason: "Failed", Type: corev1.EventTypeWarning,
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "team", Name: "app-0", UID: "1", FieldPath: "spec.containers{app}"},
		Message:        message,
	}
}
