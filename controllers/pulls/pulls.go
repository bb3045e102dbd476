// Package pulls looks into failed pulls of pods: from the evidence to the cause, and from there to the cure.
package pulls

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/diagnosis"
	"github.com/regcred/regcred/controllers/target"
	"github.com/regcred/regcred/providers"
)

// Trials is who tries tokens that were published.
type Trials interface {
	// Try says what a registry makes of a login, or returns a *providers.PendingError and wakes w once when it knows.
	Try(req providers.Request, login providers.Login, pull providers.Pull, w providers.Waiter) (providers.Verdict, error)
	// Refuse says that the registry at the host refuses the login. It returns true if that is the token that was minted from the source of
	// req, for that host: everybody is then to have another. Anything else concerns only the Secret that the login is in.
	Refuse(req providers.Request, login providers.Login, host string) bool
	// Mend is what only somebody else can do about a refused login; empty if it is replaced.
	Mend(req providers.Request) string
	// RefusedIssuedAt is the issue time of the newest token that a registry has refused; the zero time if none was.
	RefusedIssuedAt(req providers.Request) time.Time
}

// Published is what targets have brought into a namespace. target.Reconciler implements it.
type Published interface {
	// In returns what the credentials of a namespace have published there.
	In(ctx context.Context, namespace string) ([]target.Publication, error)
	// Request is what the token of an entry is made from.
	Request(ctx context.Context, c *credential.Credential, entry v1alpha1.Registry) (providers.Request, error)
	// Login is what the Secret holds, under key, for the host that covers says yes to.
	Login(ctx context.Context, p target.Publication, req providers.Request, key string, covers func(host string) bool) (providers.Login, error)
	// Condemn has the token of an entry in one Secret replaced.
	Condemn(p target.Publication, entry string)
	// WakeOne brings back the target of a publication, and WakeAll all those of a credential.
	WakeOne(p target.Publication)
	WakeAll(ctx context.Context, c *credential.Credential)
}

// Counters are what metrics are made of. report.Ledger implements it.
type Counters interface {
	// PullFailed counts a failed pull by its cause, for the credential that it is about; the zero key if none could have prevented it.
	PullFailed(key credential.Key, cause string)
	// Evicted counts a pod that was evicted because it came before the credential's link.
	Evicted(key credential.Key)
}

// Config is what a Reconciler works with.
type Config struct {
	// Published knows the credentials and their Secrets.
	Published Published
	// Trials tries the tokens in them.
	Trials Trials
	// Cache reads what package view holds, and Live reads past it.
	Cache, Live client.Reader
	// Client evicts, and makes events of pods.
	Client client.Client
	// Clock is the only source of time.
	Clock clock.PassiveClock
	// Events is told of causes, as far as they concern a credential, and PodEvents as far as they concern a pod.
	Events, PodEvents events.EventRecorder
	// Counters counts what is found and done.
	Counters Counters
	// Wake brings a failure back.
	Wake func(diagnosis.FailedPull)
}

// Reconciler looks into pulls that failed: it finds the cause, tells it, and mends what it may.
type Reconciler struct {
	Config

	failing   *failing
	evictions *evictions
	// startedAt is since when evictions are remembered.
	startedAt time.Time
}

// New returns a Reconciler that remembers nothing yet.
func New(c Config) *Reconciler {
	if c.PodEvents == nil {
		c.PodEvents = podRecorder{c.Client, c.Clock}
	}
	return &Reconciler{Config: c, failing: newFailing(c.Clock), evictions: newEvictions(c.Clock), startedAt: c.Clock.Now()}
}

// Take takes an event in if there may be something to do.
func (r *Reconciler) Take(e *corev1.Event) {
	if p, ok := diagnosis.FailedPullOf(e); ok && r.failing.admit(p) {
		r.Wake(p)
	}
}

// next is when a failure is looked at again; the zero value is never.
type next struct {
	after time.Duration
	// woken is whether somebody else brings it back.
	woken bool
}

// Reconcile looks into a failure once. Errors are not tried again: the kubelet says again what goes on.
func (r *Reconciler) Reconcile(ctx context.Context, p diagnosis.FailedPull) (reconcile.Result, error) {
	l := r.failing.investigation(p)
	if l == nil {
		return reconcile.Result{}, nil
	}
	n, err := r.investigate(ctx, p, l)
	switch {
	case err != nil && ctx.Err() == nil:
		log.FromContext(ctx).Info("A failed pull could not be looked into", "message", err.Error())
	case err == nil && n.woken:
		return reconcile.Result{}, nil
	case err == nil && n.after > 0:
		return reconcile.Result{RequeueAfter: n.after}, nil
	}
	r.evictions.giveBack(l.owner)
	r.failing.close(p)
	return reconcile.Result{}, nil
}

// investigate is the straight line: observe, diagnose, try, tell, mend.
func (r *Reconciler) investigate(ctx context.Context, p diagnosis.FailedPull, l *investigation) (next, error) {
	i, ok := diagnosis.ParseImage(p.Image)
	if !ok {
		return next{}, nil
	}
	published, err := r.Published.In(ctx, p.Namespace)
	if err != nil || len(published) == 0 {
		return next{}, err
	}
	if p.Cause != "" { // a failure of the network, say, which happens to thousands of pods at once, is counted as it is told
		r.Counters.PullFailed(credential.Key{}, p.Cause)
		return next{}, nil
	}
	// Whatever costs a request comes after this.
	if n, err := r.observe(ctx, p, l); err != nil || l.pod == nil {
		return n, err
	}
	e, err := r.evidence(ctx, i, p, *l.pod, published)
	if err != nil {
		return next{}, err
	}
	f := diagnosis.Diagnose(e.Evidence)
	if f.Wait && l.waits < waitMost {
		// It may sleep: a clock has jumped, or the machine was off.
		r.Published.WakeOne(e.about(f.About))
		r.evictions.giveBack(l.owner)
		*l = investigation{waits: l.waits + 1}
		return next{after: waitFor}, nil
	}
	if len(f.Try) > 0 {
		var n next
		if f, n = r.try(ctx, p, e, f.Try); n != (next{}) {
			return n, nil
		}
	}
	if !l.counted {
		l.counted = true
		r.count(e, f)
		r.tell(ctx, e, f)
	}
	if f.Evict {
		return r.evict(ctx, p, l, e, e.about(f.About).Credential.Key)
	}
	return next{}, nil
}

// observe reads the pod when its turn has come. A pod that is gone, or no longer fails, is none.
func (r *Reconciler) observe(ctx context.Context, p diagnosis.FailedPull, l *investigation) (next, error) {
	if l.pod != nil && l.owner == (workload{}) {
		return next{}, nil
	}
	l.pod = nil
	wait := r.failing.pods.wait(&l.read, p.Namespace, r.Clock.Now())
	if l.owner != (workload{}) {
		wait = r.evictions.pacer.wait(&l.evict, p.Namespace, r.Clock.Now())
	}
	if wait > 0 {
		return next{after: wait}, nil
	}
	pod := &corev1.Pod{}
	if err := r.Live.Get(ctx, client.ObjectKey{Namespace: p.Namespace, Name: p.Pod}, pod); err != nil {
		return next{}, client.IgnoreNotFound(err)
	}
	if pod.UID == p.UID && pod.DeletionTimestamp.IsZero() && fails(pod, p.Image) {
		l.pod = pullerOf(pod)
	}
	return next{}, nil
}

// count counts a failed pull, once it is known why.
func (r *Reconciler) count(e evidence, f diagnosis.Finding) {
	key := credential.Key{}
	if f.About != nil {
		key = e.about(f.About).Credential.Key
	}
	r.Counters.PullFailed(key, f.Cause)
}

// tell makes an event on the pod and one on the credential. What is about no credential is the kubelet's to tell.
func (r *Reconciler) tell(ctx context.Context, e evidence, f diagnosis.Finding) {
	if f.About == nil {
		return
	}
	c := e.about(f.About).Credential
	if r.failing.tell(e.pod.namespace, e.pod.uid, f.Cause) {
		kind := corev1.EventTypeWarning
		if f.Good {
			kind = corev1.EventTypeNormal
		}
		r.PodEvents.Eventf(e.pod.object(), c.Object, kind, f.Cause, "Pull", "%s", credential.Truncate(f.Note))
	}
	if !f.Good && r.failing.tellCredential(e.pod.namespace, c.Key, f.Cause, r.Clock.Now()) {
		note := "pod " + e.pod.name + ": " + f.Note
		if c.Namespace == "" {
			note = e.pod.namespace + ": " + note
		}
		note = credential.Truncate(note)
		r.Events.Eventf(c.Object, e.secret(c), corev1.EventTypeWarning, f.Cause, "Pull", "%s", note)
		log.FromContext(ctx).Info(f.Cause, "action", "Pull", "note", note)
	}
}

func (p puller) object() *corev1.Pod {
	return &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: p.name, UID: p.uid},
	}
}
