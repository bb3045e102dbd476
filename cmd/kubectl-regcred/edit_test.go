package main

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
)

// canary is a password that must not be seen anywhere.
const canary = "c4n4ry-passw0rd"

func credential(t *testing.T, name string) *v1alpha1.RegistryCredential {
	t.Helper()
	o := &v1alpha1.RegistryCredential{}
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: "team-a", Name: name}, o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestSuspendAndResume(t *testing.T) {
	create(t, byHand("mine"))
	for _, step := range []struct {
		verb, says string
		suspended  bool
	}{{"suspend", "suspended", true}, {"suspend", "already suspended", true}, {"resume", "resumed", false}, {"resume", "already resumed", false}} {
		r := run(t, step.verb, "mine", "-n", "team-a")
		if r.code != cli.Fine || r.stdout != "regcred/mine -n team-a: "+step.says+"\n" {
			t.Errorf("%s: %+v", step.verb, r)
		}
		if o := credential(t, "mine"); o.Spec.Suspend != step.suspended {
			t.Errorf("%s: suspend is %v", step.verb, o.Spec.Suspend)
		}
	}
}

// byHand is a credential that a person has made with kubectl.
func byHand(name string) *v1alpha1.RegistryCredential {
	return &v1alpha1.RegistryCredential{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: name, Annotations: map[string]string{"example.com/made-by": "hand"}},
		Spec: v1alpha1.CredentialSpec{Registries: []v1alpha1.Registry{
			{Name: "first", ECR: &v1alpha1.ECR{Region: "eu-west-1"}}, {Name: "second", ECR: &v1alpha1.ECR{Region: "eu-central-1"}},
		}},
	}
}

func TestWhatGitKeepsIsChangedInGit(t *testing.T) {
	argo := byHand("argo")
	argo.Annotations["argocd.argoproj.io/tracking-id"] = "apps:regcred.dev/RegistryCredential:team-a/argo"
	create(t, argo)
	r := run(t, "suspend", "argo", "-n", "team-a")
	want := "# Argo CD keeps regcred/argo -n team-a as it is elsewhere. Change it there:\nspec:\n  suspend: true\n"
	if r.code != cli.Failure || r.stdout != want || !strings.Contains(r.stderr, "--force") {
		t.Errorf("%+v", r)
	}
	if credential(t, "argo").Spec.Suspend {
		t.Error("it was suspended all the same")
	}
	if r := run(t, "suspend", "argo", "-n", "team-a", "--force"); r.code != cli.Fine || !credential(t, "argo").Spec.Suspend {
		t.Errorf("--force: %+v", r)
	}

	flux := byHand("flux")
	if err := admin.Create(t.Context(), flux, client.FieldOwner("kustomize-controller")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := admin.Delete(context.Background(), flux); err != nil {
			t.Error(err)
		}
	})
	r = as(t, cp.Kubeconfig(), canary, "override", "flux", "-n", "team-a", "--registry", "second", "--username", "u", "--password-stdin", "--for", "4h")
	if r.code != cli.Failure || !strings.Contains(r.stdout, "name: flux-second-override") || !strings.Contains(r.stderr, "kept by kustomize-controller") ||
		!strings.Contains(r.stderr, "Secret team-a/flux-second-override is made, and the credential is as it was") || strings.Contains(r.stdout+r.stderr, canary) {
		t.Errorf("%+v", r)
	}
	secret, key := &corev1.Secret{}, client.ObjectKey{Namespace: "team-a", Name: "flux-second-override"}
	if err := admin.Get(t.Context(), key, secret); err != nil || string(secret.Data["password"]) != canary || !metav1.IsControlledBy(secret, flux) {
		t.Errorf("the Secret that the patch names: %v, %v", secret.ObjectMeta, err)
	}
	if credential(t, "flux").Spec.Registries[1].Override != nil {
		t.Error("the credential was changed all the same")
	}
	endInGit(t, flux, key)
}

// endInGit ends an override that Git keeps: the Secret is there for as long as the spec names it, and no longer.
func endInGit(t *testing.T, flux *v1alpha1.RegistryCredential, key client.ObjectKey) {
	t.Helper()
	end := []string{"override", "flux", "-n", "team-a", "--registry", "second", "--end"}
	setOverride := func(o *v1alpha1.Override) {
		t.Helper()
		flux.Spec.Registries[1].Override = o
		if err := admin.Update(t.Context(), flux, client.FieldOwner("kustomize-controller")); err != nil {
			t.Fatal(err)
		}
	}
	setOverride(&v1alpha1.Override{SecretRef: v1alpha1.LocalReference{Name: key.Name}, Until: metav1.NewTime(now.Add(time.Hour))})
	if r := run(t, end...); r.code != cli.Failure || !strings.Contains(r.stdout, "override: null") || !strings.Contains(r.stderr, "nothing was changed") {
		t.Errorf("%+v", r)
	}
	if err := admin.Get(t.Context(), key, &corev1.Secret{}); err != nil {
		t.Errorf("the Secret that the spec names: %v", err)
	}
	setOverride(nil)
	if r := run(t, end...); r.code != cli.Fine || !strings.Contains(r.stdout, "registry second is not overridden; its Secret team-a/flux-second-override is deleted") {
		t.Errorf("%+v", r)
	}
	if err := admin.Get(t.Context(), key, &corev1.Secret{}); !apierrors.IsNotFound(err) {
		t.Errorf("the Secret is still there: %v", err)
	}
	if r := run(t, end...); r.code != cli.Fine || r.stdout != "regcred/flux -n team-a: registry second is not overridden\n" {
		t.Errorf("%+v", r)
	}
}

func TestOverrideAndItsEnd(t *testing.T) {
	create(t, byHand("mine"))
	args := []string{"override", "mine", "-n", "team-a", "--registry", "second", "--username", "robot", "--password-stdin", "--for", "4h"}
	if r := as(t, cp.Kubeconfig(), "\n", args...); r.code != cli.Failure || !strings.Contains(r.stderr, "the password is empty") {
		t.Errorf("an empty password: %+v", r)
	}
	r := as(t, cp.Kubeconfig(), canary+"\n", append(args, "-v=10")...)
	if r.code != cli.Fine || strings.Contains(r.stdout+r.stderr, canary) || strings.Contains(r.stdout+r.stderr, base64.StdEncoding.EncodeToString([]byte(canary))) ||
		!strings.Contains(r.stderr, "/secrets") {
		t.Fatalf("%+v", r)
	}
	o := credential(t, "mine")
	override := o.Spec.Registries[1].Override
	if override == nil || !override.Until.Time.Equal(now.Add(4*time.Hour)) || o.Spec.Registries[0].Override != nil {
		t.Fatalf("%+v", o.Spec.Registries)
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: "team-a", Name: override.SecretRef.Name}
	if err := admin.Get(t.Context(), key, secret); err != nil {
		t.Fatal(err)
	}
	if key.Name != "mine-second-override" || string(secret.Data["password"]) != canary || string(secret.Data["username"]) != "robot" ||
		secret.Labels[v1alpha1.LabelSecret] != v1alpha1.LabelSecretIdentity || !metav1.IsControlledBy(secret, o) {
		t.Errorf("%v", secret.ObjectMeta)
	}
	if r := as(t, cp.Kubeconfig(), "other", args...); r.code != cli.Fine {
		t.Errorf("again: %+v", r)
	}
	if r := run(t, "override", "mine", "-n", "team-a", "--registry", "second", "--end"); r.code != cli.Fine {
		t.Errorf("--end: %+v", r)
	}
	if err := admin.Get(t.Context(), key, secret); !apierrors.IsNotFound(err) {
		t.Errorf("the Secret is still there: %v", err)
	}
	if credential(t, "mine").Spec.Registries[1].Override != nil {
		t.Error("the override is still there")
	}
}

func TestOverrideTouchesNoSecretOfOthers(t *testing.T) {
	create(t, byHand("mine"))
	create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "mine-first-override"}, Data: map[string][]byte{"mine": []byte("keep")}})
	r := as(t, cp.Kubeconfig(), canary, "override", "mine", "-n", "team-a", "--registry", "first", "--username", "u", "--password-stdin", "--for", "1h")
	if r.code != cli.Failure || !strings.Contains(r.stderr, "does not belong to regcred/mine") {
		t.Errorf("%+v", r)
	}
	if credential(t, "mine").Spec.Registries[0].Override != nil {
		t.Error("the credential was changed all the same")
	}
	if r := run(t, "override", "mine", "-n", "team-a", "--end", "--registry", "first"); r.code != cli.Fine || strings.Contains(r.stdout, "deleted") {
		t.Errorf("--end: %+v", r)
	}
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: "team-a", Name: "mine-first-override"}, &corev1.Secret{}); err != nil {
		t.Errorf("the Secret of others: %v", err)
	}
	if r := run(t, "override", "mine", "-n", "team-a", "--end", "--registry", "third"); r.code != cli.Failure || !strings.Contains(r.stderr, "first, second") {
		t.Errorf("%+v", r)
	}
}
