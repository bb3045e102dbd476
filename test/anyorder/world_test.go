package anyorder

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/lab"
)

// The names of what is in a world. Those of cluster-wide objects and of namespaces begin with the world's own.
const (
	many, own       = "many", "own" // the credentials, and their Secrets
	identity        = "identity"
	byHand          = "by-hand"
	theirs          = "theirs"
	labelWorld      = "world"
	first, second   = "first", "second"
	builder, runner = "builder", "runner"
)

// spec is what somebody wants of a credential.
type spec struct {
	exists     bool
	regions    []string
	template   string
	accounts   int // what is linked: nobody, builder, both by name, or those with a label
	retain     bool
	suspended  bool
	overridden bool
	refresh    string
}

// place is what somebody wants of a namespace.
type place struct {
	selected, alone bool
	accounts        map[string]*account
}

// account is a ServiceAccount as its owner wants it.
type account struct {
	exists, labelled, alone bool
	theirs                  bool
}

// wishes are all that people want. They are what a world is made of, once or by and by.
type wishes struct {
	many, own spec
	places    map[string]*place
}

func newWishes() *wishes {
	w := &wishes{places: map[string]*place{}}
	for _, s := range []*spec{&w.many, &w.own} {
		*s = spec{exists: true, regions: []string{"eu-west-1"}, accounts: 1}
	}
	for _, name := range []string{first, second} {
		w.places[name] = &place{selected: true, accounts: map[string]*account{builder: {exists: true}, runner: {exists: true, labelled: true, theirs: true}}}
	}
	return w
}

// world is one copy of what is wished.
type world struct {
	*testing.T
	name string
	user cloud.User
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// apply creates all of it, in an order in which nothing waits.
func apply(t *testing.T, name string, all *wishes) *world {
	t.Helper()
	w := prepare(t, name, all)
	for ns, p := range all.places {
		for sa, a := range p.accounts {
			if a.exists {
				w.must(cluster.Client.Create(w.Context(), w.account(ns, sa, a)))
			}
		}
	}
	for _, c := range []client.Object{w.many(all.many), w.own(all.own)} {
		if c != nil {
			w.must(cluster.Client.Create(w.Context(), c))
		}
	}
	return w
}

// prepare makes the namespaces and what identities need.
func prepare(t *testing.T, name string, all *wishes) *world {
	t.Helper()
	w := &world{T: t, name: name, user: cloud.User{Account: cloud.DefaultAccount, Name: name, AccessKeyID: "AKIA" + strings.ToUpper(name),
		SecretAccessKey: cloud.CanarySTS + name, MayGetToken: true, Pull: []string{"*"}}}
	cluster.AWS.AddUser(w.user)
	keys := map[string]string{"AWS_ACCESS_KEY_ID": w.user.AccessKeyID, "AWS_SECRET_ACCESS_KEY": w.user.SecretAccessKey}
	login := map[string]string{"username": "person", "password": "canary-by-hand"}
	for ns, p := range all.places {
		w.must(cluster.Client.Create(w.Context(), w.namespace(ns, p)))
	}
	for namespace, prefix := range map[string]string{lab.Namespace: name + "-", w.in(first): ""} {
		w.must(cluster.Client.Create(w.Context(), secretOf(namespace, prefix+identity, keys)))
		w.must(cluster.Client.Create(w.Context(), secretOf(namespace, prefix+byHand, login)))
	}
	return w
}

func secretOf(namespace, name string, data map[string]string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name,
		Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}}, StringData: data}
}

func (w *world) in(ns string) string { return w.name + "-" + ns }

func (w *world) namespace(ns string, p *place) *corev1.Namespace {
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.in(ns), Labels: map[string]string{}}}
	if p.selected {
		n.Labels[labelWorld] = w.name
	}
	if p.alone {
		n.Labels[v1alpha1.LabelLink] = v1alpha1.LabelLinkNever
	}
	return n
}

func (w *world) account(ns, name string, a *account) *corev1.ServiceAccount {
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.in(ns), Name: name, Labels: map[string]string{}}}
	if a.labelled {
		sa.Labels["pulls"] = "yes"
	}
	if a.alone {
		sa.Labels[v1alpha1.LabelLink] = v1alpha1.LabelLinkNever
	}
	if a.theirs {
		sa.ImagePullSecrets = []corev1.LocalObjectReference{{Name: theirs}}
	}
	return sa
}

// many is the cluster-wide credential; nil if nobody wants it.
func (w *world) many(s spec) client.Object {
	if !s.exists {
		return nil
	}
	c := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: w.in(many), Annotations: s.annotations()}}
	c.Spec.CredentialSpec = w.spec(s, w.name+"-")
	c.Spec.SecretName = many
	c.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{labelWorld: v1alpha1.LabelValue(w.name)}
	return c
}

// own is the credential of the first namespace.
func (w *world) own(s spec) client.Object {
	if !s.exists {
		return nil
	}
	return &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: w.in(first), Name: own, Annotations: s.annotations()}, Spec: w.spec(s, "")}
}

func (s spec) annotations() map[string]string {
	if s.refresh == "" {
		return nil
	}
	return map[string]string{v1alpha1.AnnotationRefreshRequestedAt: s.refresh}
}

func (w *world) spec(s spec, prefix string) v1alpha1.CredentialSpec {
	c := v1alpha1.CredentialSpec{Suspend: s.suspended, DeletionPolicy: v1alpha1.DeletionPolicyDelete}
	if s.retain {
		c.DeletionPolicy = v1alpha1.DeletionPolicyRetain
	}
	for n, region := range s.regions {
		entry := v1alpha1.Registry{
			Name: fmt.Sprintf("r%d", n), ECR: &v1alpha1.ECR{Region: region, Accounts: []string{cloud.DefaultAccount}},
			Identity: &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: prefix + identity}},
		}
		if s.overridden && n == 0 {
			entry.Override = &v1alpha1.Override{SecretRef: v1alpha1.LocalReference{Name: prefix + byHand}, Until: metav1.NewTime(overriddenUntil)}
		}
		c.Registries = append(c.Registries, entry)
	}
	if s.template != "" {
		c.SecretTemplate = &v1alpha1.SecretTemplate{
			Labels:      map[string]v1alpha1.LabelValue{"team.example/" + s.template: v1alpha1.LabelValue(s.template)},
			Annotations: map[string]v1alpha1.AnnotationValue{"team.example/note": v1alpha1.AnnotationValue(s.template)},
		}
	}
	c.ServiceAccounts = []*v1alpha1.ServiceAccounts{
		nil, {Names: []string{builder}}, {Names: []string{builder, runner}},
		{Selector: &v1alpha1.Selector{MatchLabels: map[string]v1alpha1.LabelValue{"pulls": "yes"}}},
	}[s.accounts]
	return c
}

var overriddenUntil = time.Now().Add(5 * time.Hour).Truncate(time.Second)

// end takes a world away.
func (w *world) end() {
	ctx := context.WithoutCancel(w.Context())
	for _, o := range []client.Object{w.many(spec{exists: true}), w.own(spec{exists: true}),
		secretOf(lab.Namespace, w.in(identity), nil), secretOf(lab.Namespace, w.in(byHand), nil)} {
		if err := client.IgnoreNotFound(cluster.Client.Delete(ctx, o)); err != nil {
			w.Error(err)
		}
	}
	for _, ns := range []string{first, second} {
		if err := cluster.Client.Delete(ctx, w.namespace(ns, &place{})); err != nil {
			w.Error(err)
		}
	}
	cluster.AWS.Remove(w.user.ARN())
}

// names are the keys of a map, in order.
func names[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
