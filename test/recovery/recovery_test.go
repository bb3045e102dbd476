// Package recovery proves that what is suspended, overridden or retained is so after a restart, a failover and a restored backup, too: without
// a call to a cloud, and without a write.
package recovery

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/lab"
)

const (
	team    = "team-a"
	user    = "system:serviceaccount:" + lab.Namespace + ":regcred"
	byHand  = "break-glass"
	account = "123456789012"
	// patience bounds a failing test; no passing one waits for it.
	patience = 90 * time.Second
)

// The credentials. What left has kept is there without it.
const (
	suspended  = "suspended"
	overridden = "overridden"
	retained   = "retained"
	left       = "left"
)

type world struct {
	*testing.T
	*lab.Lab
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t}
	var err error
	w.Lab, err = lab.Start(t.Context(), controlplane.Options{AuditLog: filepath.Join(t.TempDir(), "audit.log")}, cloud.Options{})
	w.must(err)
	t.Cleanup(func() {
		if err := w.Stop(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) eventually(what string, done func() bool) {
	w.Helper()
	ctx, cancel := w.Within(w.Context(), patience)
	defer cancel()
	err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(context.Context) (bool, error) { return done(), nil })
	if err != nil {
		w.Fatalf("waited in vain for %s: %v", what, context.Cause(ctx))
	}
}

// start starts a replica, which works once no other has the Lease.
func (w *world) start() *lab.Controller {
	w.Helper()
	c, err := w.StartController(w.Context(), w.Output())
	w.must(err)
	return c
}

// served waits until the replica has looked at the credentials.
func (w *world) served(c *lab.Controller, credentials ...string) {
	w.Helper()
	w.eventually("a replica to look at "+strings.Join(credentials, ", "), func() bool {
		metrics, err := c.ReadMetrics(w.Context())
		return err == nil && strings.Contains(metrics, "regcred_active 1") && !slices.ContainsFunc(credentials, func(name string) bool {
			return !strings.Contains(metrics, fmt.Sprintf("regcred_targets_current{credential=%q", name))
		})
	})
}

// credential keeps a token of ECR in the namespace.
func credential(name string) *v1alpha1.ClusterRegistryCredential {
	c := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: name}}
	c.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{"kubernetes.io/metadata.name": team}
	c.Spec.Registries = []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: "eu-west-1", Accounts: []string{account}}}}
	c.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Names: []string{"default"}}
	if name == retained || name == left {
		c.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain
	}
	return c
}

func (w *world) change(name string, edit func(*v1alpha1.ClusterCredentialSpec)) {
	w.Helper()
	c := credential(name)
	w.must(w.Client.Get(w.Context(), client.ObjectKeyFromObject(c), c))
	before := c.DeepCopy()
	edit(&c.Spec)
	w.must(w.Client.Patch(w.Context(), c, client.MergeFrom(before)))
}

// says waits until the credential's present spec is answered with this reason, of Ready or of its entry.
func (w *world) says(name, reason string) {
	w.Helper()
	w.eventually(name+" to be "+reason, func() bool {
		c := credential(name)
		w.must(w.Client.Get(w.Context(), client.ObjectKeyFromObject(c), c))
		ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
		return c.Status.ObservedGeneration == c.Generation && ready != nil && (ready.Reason == reason || c.Status.Registries[0].Reason == reason)
	})
}

// prepare makes all credentials what they are called.
func (w *world) prepare() {
	w.Helper()
	w.must(w.Client.Create(w.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: team}}))
	w.must(w.Client.Create(w.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: "default"}}))
	w.must(w.Client.Create(w.Context(), &corev1.Secret{StringData: map[string]string{"username": "AWS", "password": "canary-by-hand"}, ObjectMeta: metav1.ObjectMeta{
		Namespace: lab.Namespace, Name: byHand, Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}}}))
	c := w.start()
	for _, name := range []string{suspended, overridden, retained, left} {
		w.must(w.Client.Create(w.Context(), credential(name)))
		w.says(name, v1alpha1.ReasonCurrent)
	}
	w.change(suspended, func(s *v1alpha1.ClusterCredentialSpec) { s.Suspend = true })
	w.says(suspended, v1alpha1.ReasonSuspended)
	w.change(overridden, func(s *v1alpha1.ClusterCredentialSpec) {
		s.Registries[0].Override = &v1alpha1.Override{SecretRef: v1alpha1.LocalReference{Name: byHand}, Until: metav1.NewTime(time.Now().Add(6 * time.Hour))}
	})
	w.says(overridden, v1alpha1.ReasonOverridden)
	w.must(w.Client.Delete(w.Context(), credential(left)))
	w.must(c.Stop())
}

// versions are those of the Secrets and of the ServiceAccount with their links.
func (w *world) versions() map[string]string {
	w.Helper()
	all := map[string]string{}
	for _, name := range []string{suspended, overridden, retained, left} {
		s := &corev1.Secret{}
		w.must(w.Client.Get(w.Context(), client.ObjectKey{Namespace: team, Name: name}, s))
		all[name] = string(s.UID) + "/" + s.ResourceVersion
	}
	sa := &corev1.ServiceAccount{}
	w.must(w.Client.Get(w.Context(), client.ObjectKey{Namespace: team, Name: "default"}, sa))
	if len(sa.ImagePullSecrets) != 4 {
		w.Errorf("the links are %v", sa.ImagePullSecrets)
	}
	all["default"] = string(sa.UID) + "/" + sa.ResourceVersion
	return all
}

// costsNothing does something after which a replica has looked at everything, and wants all to be as it was.
func (w *world) costsNothing(what string, do func()) {
	w.Helper()
	had, began, calls := w.versions(), time.Now(), w.AWS.Calls().Of(cloud.ActionGetAuthorizationToken)
	do()
	if got := w.AWS.Calls().Of(cloud.ActionGetAuthorizationToken) - calls; got > 0 {
		w.Errorf("%s costs %d calls", what, got)
	}
	written, err := w.AuditRequests(began, func(r controlplane.AuditRequest) bool {
		return r.User == user && (r.Resource == "secrets" || r.Resource == "serviceaccounts") && slices.Contains([]string{"create", "update", "patch", "delete"}, r.Verb)
	})
	w.must(err)
	for _, r := range written {
		w.Errorf("%s costs a %s of %s/%s", what, r.Verb, r.Resource, r.Name)
	}
	if has := w.versions(); !maps.Equal(has, had) {
		w.Errorf("%s changes %v to %v", what, had, has)
	}
	w.says(suspended, v1alpha1.ReasonSuspended)
	w.says(overridden, v1alpha1.ReasonOverridden)
	w.says(retained, v1alpha1.ReasonCurrent)
}

func TestWhatIsSetAsideStaysSo(t *testing.T) {
	w := newWorld(t)
	w.prepare()
	var leader, standby *lab.Controller
	w.costsNothing("a restart", func() {
		leader = w.start()
		w.served(leader, suspended, overridden, retained)
	})
	w.costsNothing("a failover", func() {
		standby = w.start()
		w.must(leader.Kill())
		w.served(standby, suspended, overridden, retained)
	})
	w.must(standby.Stop())
	snapshot, err := w.Snapshot()
	w.must(err)
	had := w.versions()
	w.undo()
	w.must(w.Restore(snapshot))
	if has := w.versions(); !maps.Equal(has, had) {
		t.Fatalf("restored are %v, not %v", has, had)
	}
	w.costsNothing("a restored backup", func() {
		leader = w.start()
		w.served(leader, suspended, overridden, retained)
	})
	w.costsNothing("a later credential of the name of one that is gone", func() {
		w.must(w.Client.Create(t.Context(), credential(left)))
		w.served(leader, left)
		w.says(left, v1alpha1.ReasonCurrent)
	})
	// One that goes while nobody is there.
	w.must(leader.Stop())
	w.must(w.Client.Delete(t.Context(), credential(left)))
	w.costsNothing("a deletion without a controller", func() {
		leader = w.start()
		w.served(leader, suspended, overridden, retained)
	})
}

// rotate has a younger token take the place of the one that there is.
func (w *world) rotate(name string) {
	w.Helper()
	content := func() string {
		s := &corev1.Secret{}
		w.must(w.Client.Get(w.Context(), client.ObjectKey{Namespace: team, Name: name}, s))
		return string(s.Data[corev1.DockerConfigJsonKey])
	}
	old := content()
	w.must(w.Client.Patch(w.Context(), credential(name), client.RawPatch("application/merge-patch+json",
		fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"now"}}}`, v1alpha1.AnnotationRefreshRequestedAt))))
	w.eventually("a younger token of "+name, func() bool { return content() != old })
}

// undo is what happens after a backup, and is lost when it is restored.
func (w *world) undo() {
	w.Helper()
	c := w.start()
	w.change(suspended, func(s *v1alpha1.ClusterCredentialSpec) { s.Suspend = false })
	w.says(suspended, v1alpha1.ReasonCurrent)
	w.change(overridden, func(s *v1alpha1.ClusterCredentialSpec) { s.Registries[0].Override = nil })
	w.says(overridden, v1alpha1.ReasonCurrent)
	w.rotate(retained)
	w.change(retained, func(s *v1alpha1.ClusterCredentialSpec) { s.DeletionPolicy = v1alpha1.DeletionPolicyDelete })
	w.must(w.Client.Delete(w.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: left}}))
	w.must(c.Stop())
}
