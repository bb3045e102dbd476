package tenants

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

// patience bounds what a test waits for; no passing test waits as long.
const patience = time.Minute

// tenant is somebody with the role edit in one namespace.
type tenant struct {
	*testing.T
	// whole is the test that the tenant's namespace lives for.
	whole *testing.T
	ns    string
	// edit is the tenant's client; admin stands in for the parts of a cluster that a tenant has its ways to: webhooks, quotas, a kubelet.
	edit, admin client.Client
	// user is the tenant's access key in AWS.
	user cloud.User
	// recorded is what the controller had written down on the tenant's Secret of the cluster's credential, before anything was done to it.
	recorded string
	// began is when its namespace was made, and came is that by the clouds' clock.
	began, came time.Time
}

// newTenant makes a namespace with these labels, and whoever may edit it.
func newTenant(t *testing.T, ns string, labels map[string]string) *tenant {
	t.Helper()
	u := &tenant{T: t, whole: t, ns: ns, admin: world.Client, began: time.Now(), came: clock.Now()}
	u.must(world.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns, Labels: labels}}))
	u.must(world.Client.Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "edit"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: ns}},
	}))
	config, _, err := world.AddUser(ns, []string{"system:authenticated"})
	u.must(err)
	config.QPS = -1 // nobody holds a tenant back
	u.edit, err = client.New(config, client.Options{Scheme: world.Client.Scheme()})
	u.must(err)
	u.user = cloud.User{
		Account: cloud.DefaultAccount, Name: ns, AccessKeyID: fmt.Sprintf("AKIA%016X", time.Now().UnixNano()), SecretAccessKey: cloud.CanarySTS + ns,
		MayGetToken: true, Pull: []string{"*"},
	}
	world.AWS.AddUser(u.user)
	u.eventually("its default ServiceAccount", func() bool {
		return world.Client.Get(t.Context(), u.key("default"), &corev1.ServiceAccount{}) == nil
	})
	return u
}

func (u *tenant) must(err error) {
	u.Helper()
	if err != nil {
		u.Fatal(err)
	}
}

// eventually polls, as what is waited for may be of any kind.
func (u *tenant) eventually(what string, done func() bool) {
	u.Helper()
	if !within(u.Context(), patience, done) {
		u.Fatalf("%s: waited for %s in vain", u.ns, what)
	}
}

func within(ctx context.Context, limit time.Duration, done func() bool) bool {
	ctx, cancel := world.Within(ctx, limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (u *tenant) key(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: u.ns, Name: name}
}

func (u *tenant) object(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: u.ns, Name: name}
}

// secret creates a Secret with the label of an identity.
func (u *tenant) identity(name string, data map[string]string) {
	u.Helper()
	s := &corev1.Secret{ObjectMeta: u.object(name), StringData: data}
	s.Labels = map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}
	u.must(u.edit.Create(u.Context(), s))
}

// keyed creates an identity with the tenant's access key.
func (u *tenant) keyed(name string) {
	u.Helper()
	u.identity(name, map[string]string{"AWS_ACCESS_KEY_ID": u.user.AccessKeyID, "AWS_SECRET_ACCESS_KEY": u.user.SecretAccessKey})
}

func secretRef(name string) *v1alpha1.Identity {
	return &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: name}}
}

func accountRef(name string) *v1alpha1.Identity {
	return &v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: name}}
}

// ecr is an entry in the region that everybody uses.
func ecr(identity *v1alpha1.Identity) v1alpha1.Registry {
	return v1alpha1.Registry{Name: "ecr", ECR: &v1alpha1.ECR{Region: region, Accounts: []string{cloud.DefaultAccount}}, Identity: identity}
}

func static(host, identity string) v1alpha1.Registry {
	return v1alpha1.Registry{Name: "static", Static: &v1alpha1.Static{Host: v1alpha1.Host(host)}, Identity: secretRef(identity)}
}

func (u *tenant) credential(name string, entries ...v1alpha1.Registry) *v1alpha1.RegistryCredential {
	c := &v1alpha1.RegistryCredential{ObjectMeta: u.object(name)}
	c.Spec.Registries = entries
	c.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Names: []string{"default"}}
	return c
}

func (u *tenant) create(o client.Object) {
	u.Helper()
	u.must(u.edit.Create(u.Context(), o))
}

// refusable creates what the schema may refuse for this reason, and for no other.
func (u *tenant) refusable(o client.Object, reason string) {
	u.Helper()
	err := u.edit.Create(u.Context(), o)
	if err == nil {
		return
	}
	u.Logf("refused: %v", err)
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), reason) {
		u.Errorf("it is refused for another reason than its %s", reason)
	}
}

// patch merges into an object, under the name of a field manager if one is given.
func (u *tenant) patch(o client.Object, merge string, manager ...client.PatchOption) {
	u.Helper()
	u.must(u.edit.Patch(u.Context(), o, client.RawPatch(types.MergePatchType, []byte(merge)), manager...))
}

const asRegcred = client.FieldOwner("regcred")

// annotate sets annotations; JSON is written here, so that values may be anything.
func (u *tenant) annotate(o client.Object, annotations map[string]string, manager ...client.PatchOption) {
	u.Helper()
	raw, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	u.must(err)
	u.patch(o, string(raw), manager...)
}

func (u *tenant) target(name string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: u.object(name)}
}

func (u *tenant) account(name string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: u.object(name)}
}

// pulls waits until the Secret lets pull from ECR.
func (u *tenant) pulls(secret string) {
	u.Helper()
	u.eventually("a Secret "+secret+" that pulls", func() bool { return pullsWith(u.Context(), u.ns, secret) == nil })
}

func pullsWith(ctx context.Context, ns, secret string) error {
	s := &corev1.Secret{}
	if err := world.Client.Get(ctx, client.ObjectKey{Namespace: ns, Name: secret}, s); err != nil {
		return err
	}
	if _, err := world.AWS.SeedImage(ecrHost, "team/app", "v1"); err != nil {
		return err
	}
	_, err := cloud.Pull(ctx, world.AWS.Transport(), s.Data[corev1.DockerConfigJsonKey], ecrHost+"/team/app:v1")
	return err
}

// ready waits until the condition Ready of a RegistryCredential has one of these reasons.
func (u *tenant) ready(name string, reasons ...string) {
	u.Helper()
	var last string
	if within(u.Context(), patience, func() bool {
		c := &v1alpha1.RegistryCredential{}
		if err := world.Client.Get(u.Context(), u.key(name), c); err != nil {
			last = err.Error()
			return false
		}
		last = ""
		if ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
			last = ready.Reason + ": " + ready.Message
		}
		for _, r := range c.Status.Registries {
			last += "; " + r.Name + " " + r.Reason + ": " + r.Message
		}
		for _, reason := range reasons {
			if strings.Contains(last, reason) {
				return true
			}
		}
		return false
	}) {
		return
	}
	u.Errorf("%s says %q, want one of %q", name, last, reasons)
}

// leave deletes the namespace. Its end is the namespace controller's business, and takes seconds.
func (u *tenant) leave() {
	u.Helper()
	u.must(world.Client.DeleteAllOf(context.WithoutCancel(u.Context()), &v1alpha1.RegistryCredential{}, client.InNamespace(u.ns)))
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: u.ns}}
	u.must(client.IgnoreNotFound(world.Client.Delete(context.WithoutCancel(u.Context()), ns)))
	world.AWS.Remove(u.user.ARN())
}

// gone waits for the end of the namespace.
func (u *tenant) gone() {
	u.Helper()
	if !within(u.Context(), 3*patience, func() bool {
		return apierrors.IsNotFound(world.Client.Get(u.Context(), client.ObjectKey{Name: u.ns}, &corev1.Namespace{}))
	}) {
		u.Fatalf("namespace %s does not end", u.ns)
	}
}

// in is the tenant in another test.
func (u *tenant) in(t *testing.T) *tenant {
	t.Helper()
	other := *u
	other.T = t
	return &other
}

func asJSON(u *tenant, v any) string {
	u.Helper()
	raw, err := json.Marshal(v)
	u.must(err)
	return string(raw)
}
