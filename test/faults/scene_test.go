package faults

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/lab"
)

const (
	region = "eu-west-1"
	host   = cloud.DefaultAccount + ".dkr.ecr." + region + ".amazonaws.com"
	// patience bounds a failing test; no passing one waits for it.
	patience = 90 * time.Second
)

// scene is a cluster-wide credential with an identity and ServiceAccounts of its own, in two namespaces that live for all scenes.
type scene struct {
	*testing.T
	name string
	user cloud.User
	// succeeded is whether another controller has taken over.
	succeeded bool
}

var namespaces = []string{"one", "two"}

var scenes int

// told are the tests whose failure has been told how to repeat.
var told = map[string]bool{}

func newScene(t *testing.T) *scene {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() && !told[t.Name()] {
			told[t.Name()] = true
			t.Log(again(t.Name()))
		}
	})
	if controller == nil || controller.Ended() { // one before has failed to start it
		if err := startController(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	scenes++
	s := &scene{T: t, name: fmt.Sprintf("scene-%d", scenes)}
	s.user = cloud.User{Account: cloud.DefaultAccount, Name: s.name, AccessKeyID: fmt.Sprintf("AKIA%016d", scenes), SecretAccessKey: cloud.CanarySTS + s.name,
		MayGetToken: true, Pull: []string{"*"}}
	world.AWS.AddUser(s.user)
	for _, ns := range namespaces {
		err := world.Client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
		s.must(client.IgnoreAlreadyExists(err))
		s.must(world.Client.Create(t.Context(), s.account(ns)))
		s.selected(ns, true)
	}
	s.must(world.Client.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: lab.Namespace, Name: s.name, Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}},
		StringData: map[string]string{"AWS_ACCESS_KEY_ID": s.user.AccessKeyID, "AWS_SECRET_ACCESS_KEY": s.user.SecretAccessKey},
	}))
	return s
}

func (s *scene) account(ns string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: s.name}}
}

func (s *scene) secret(ns string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: s.name}}
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// await polls, and starts a controller again that has been ended.
func (s *scene) await(what string, done func() bool) {
	s.Helper()
	ctx, cancel := world.Within(s.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-between.crashed:
			s.succeed()
		case <-tick.C:
		case <-ctx.Done():
			s.Fatalf("%s: waited for %s in vain: %v; what was done: %q", s.name, what, context.Cause(ctx), between.counted())
		}
	}
}

// succeed starts a controller in place of one that was ended.
func (s *scene) succeed() {
	s.Helper()
	between.disarm()
	s.succeeded = true
	s.must(startController(s.Context()))
}

// later lets time pass, for a controller that may have been ended, too.
func (s *scene) later(by time.Duration) {
	s.Helper()
	err := controller.Advance(s.Context(), by)
	if err == nil {
		return
	}
	ctx, cancel := world.Within(s.Context(), patience)
	defer cancel()
	select {
	case <-between.crashed:
		s.succeed()
	case <-ctx.Done():
		s.Fatalf("%s: no time passes for the controller: %v: %v", s.name, err, context.Cause(ctx))
	}
}

// selected puts the label on a namespace by which the scene's credential selects, or takes it off.
func (s *scene) selected(ns string, yes bool) {
	s.Helper()
	value := "null"
	if yes {
		value = `"` + s.name + `"`
	}
	s.must(world.Client.Patch(s.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}},
		client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"scene":`+value+`}}}`))))
}

func (s *scene) credential() *v1alpha1.ClusterRegistryCredential {
	c := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: s.name}}
	c.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{"scene": v1alpha1.LabelValue(s.name)}
	c.Spec.Registries = []v1alpha1.Registry{{
		Name: "ecr", ECR: &v1alpha1.ECR{Region: region, Accounts: []string{cloud.DefaultAccount}},
		Identity: &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: s.name}},
	}}
	c.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Names: []string{s.name}}
	return c
}

// refresh asks for a new token.
func (s *scene) refresh(value string) {
	s.Helper()
	s.must(world.Client.Patch(s.Context(), s.credential(), client.RawPatch("application/merge-patch+json",
		fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationRefreshRequestedAt, value))))
}

// password is what the Secret in a namespace holds; empty if there is none.
func (s *scene) password(ns string) string {
	secret := s.secret(ns)
	if world.Client.Get(s.Context(), client.ObjectKeyFromObject(secret), secret) != nil {
		return ""
	}
	return string(secret.Data[corev1.DockerConfigJsonKey])
}

func (s *scene) pulls(ns string) bool {
	config := s.password(ns)
	if config == "" {
		return false
	}
	if _, err := world.AWS.SeedImage(host, "team/app", "v1"); err != nil {
		s.Fatal(err)
	}
	_, err := cloud.Pull(s.Context(), world.AWS.Transport(), []byte(config), host+"/team/app:v1")
	return err == nil
}

func (s *scene) linked(ns string) bool {
	sa := s.account(ns)
	s.must(world.Client.Get(s.Context(), client.ObjectKeyFromObject(sa), sa))
	return slices.Contains(sa.ImagePullSecrets, corev1.LocalObjectReference{Name: s.name})
}

// served is whether a namespace has all, or nothing of it.
func (s *scene) served(ns string, yes bool) bool {
	if yes {
		return s.pulls(ns) && s.linked(ns)
	}
	return s.password(ns) == "" && !s.linked(ns)
}

// reported is whether the status says that all namespaces are served.
func (s *scene) reported(namespaces int) bool {
	c := &v1alpha1.ClusterRegistryCredential{}
	if err := world.Client.Get(s.Context(), client.ObjectKey{Name: s.name}, c); err != nil {
		return false
	}
	n := c.Status.Namespaces
	return meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady) && n != nil && int(n.Selected) == namespaces && n.Selected == n.Current
}

// mints is how many tokens were issued to the scene's user.
func (s *scene) mints() int {
	n := 0
	for _, token := range world.AWS.Tokens() {
		if token.Principal == s.user.ARN() {
			n++
		}
	}
	return n
}

// ending is a context that outlives the test.
func (s *scene) ending() context.Context { return context.WithoutCancel(s.Context()) }

// end takes away what is left.
func (s *scene) end() {
	ctx := s.ending()
	left := []client.Object{s.credential(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: lab.Namespace, Name: s.name}}}
	for _, ns := range namespaces {
		left = append(left, s.account(ns))
	}
	for _, o := range left {
		if err := world.Client.Delete(ctx, o); err != nil && !apierrors.IsNotFound(err) {
			s.Error(err)
		}
	}
	world.AWS.Remove(s.user.ARN())
}
