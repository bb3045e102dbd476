package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
)

// template makes pods of one image, by a ServiceAccount, with Secrets of its own.
func template(image, account string, secrets ...string) corev1.PodTemplateSpec {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "x"}}, Spec: corev1.PodSpec{ServiceAccountName: account,
		Containers: []corev1.Container{{Name: "app", Image: image}}}}
	names(secrets...)(p)
	return corev1.PodTemplateSpec{ObjectMeta: p.ObjectMeta, Spec: p.Spec}
}

// deployment is one without a pod.
func deployment(t *testing.T, namespace, name string, template corev1.PodTemplateSpec) {
	t.Helper()
	create(t, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: appsv1.DeploymentSpec{Replicas: new(int32), Selector: &metav1.LabelSelector{MatchLabels: template.Labels}, Template: template}})
}

// suffering are the workloads that status names, "may" before those of which it is not certain.
func suffering(t *testing.T, args ...string) []string {
	t.Helper()
	r := run(t, append([]string{"status", "--impact"}, args...)...)
	var all []string
	for line := range strings.Lines(r.stdout) {
		if _, who, ok := strings.Cut(line, "would not start: "); ok {
			all = append(all, strings.TrimSpace(who))
		}
		if _, who, ok := strings.Cut(line, "may not start: "); ok {
			all = append(all, "may "+strings.TrimSpace(who))
		}
	}
	if r.stderr != "" {
		t.Errorf("%+v", r)
	}
	return all
}

// A target that was never written holds no login for any host of its entries, whoever names it or is to be linked to it.
func TestImpactOfATargetThatWasNeverWritten(t *testing.T) {
	create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "default"}})
	create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "unlinked"}})
	serving(t, "unborn")
	deployment(t, "team-a", "named", template(ecrHost+"/web", "unlinked", "unborn"))
	deployment(t, "team-a", "to-be-linked", template(ecrHost+"/web", ""))
	deployment(t, "team-a", "not-linked", template(ecrHost+"/web", "unlinked"))
	deployment(t, "team-a", "other-secret", template(ecrHost+"/web", "", "other"))
	deployment(t, "team-a", "other-region", template(strings.Replace(ecrHost, "eu-west-1", "eu-west-2", 1)+"/web", ""))
	deployment(t, "team-a", "other-host", template("ghcr.io/acme/web", ""))
	deployment(t, "team-b", "other-namespace", template(ecrHost+"/web", "", "unborn"))
	job := template(ecrHost+"/job", "")
	job.Spec.RestartPolicy, job.Labels = corev1.RestartPolicyNever, nil
	create(t, &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "nightly"},
		Spec: batchv1.CronJobSpec{Schedule: "0 0 * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: job}}}})
	want := []string{"may cronjob/nightly -n team-a", "may deployment/named -n team-a", "may deployment/to-be-linked -n team-a"}
	if got := suffering(t, "unborn", "-n", "team-a"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A Secret of somebody else holds none of the credential's logins, and one of the credential's own without an entry not those of the entry.
func TestImpactOfAConflict(t *testing.T) {
	pullSecret(t, "taken", authFor("ghcr.io", "u", "p"))
	serving(t, "taken")
	deployment(t, "team-a", "web", template(ecrHost+"/web", "", "taken"))
	deployment(t, "team-a", "own-login", template("ghcr.io/acme/web", "", "taken"))
	taken := credential(t, "taken")
	taken.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonSecretConflict, LastTransitionTime: metav1.NewTime(now)}}
	if err := admin.Status().Update(t.Context(), taken); err != nil {
		t.Fatal(err)
	}
	if r := run(t, "status", "taken", "-n", "team-a"); !strings.Contains(r.stdout, "SecretConflict for 0s, pods pull by somebody else's login, if at all\n") {
		t.Errorf("a conflict hurts: %s", r.stdout)
	}
	if got, want := suffering(t, "taken", "-n", "team-a"), []string{"may deployment/web -n team-a"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}

	serving(t, "half")
	half := credential(t, "half")
	half.Spec.Registries = append(half.Spec.Registries, v1alpha1.Registry{Name: "azure", ACR: &v1alpha1.ACR{Registry: "acme.azurecr.io"}})
	if err := admin.Update(t.Context(), half); err != nil {
		t.Fatal(err)
	}
	kept(t, "team-a", half, v1alpha1.KindRegistryCredential, now.Add(time.Hour))
	deployment(t, "team-a", "live", template(ecrHost+"/web", "", "half"))
	deployment(t, "team-a", "denied", template("acme.azurecr.io/web", "", "half"))
	deployment(t, "team-a", "two-secrets", template("acme.azurecr.io/web", "", "half", "other"))
	if got, want := suffering(t, "half", "-n", "team-a"), []string{"deployment/denied -n team-a", "may deployment/two-secrets -n team-a"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A credential of the cluster keeps a Secret in the namespaces that it selects, and in no other.
func TestImpactInTheNamespacesThatAreSelected(t *testing.T) {
	create(t, &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: "wide"}, Spec: v1alpha1.ClusterCredentialSpec{
		NamespaceSelector: v1alpha1.Selector{MatchLabels: map[string]v1alpha1.LabelValue{corev1.LabelMetadataName: "team-b"}},
		CredentialSpec:    v1alpha1.CredentialSpec{Registries: []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: "eu-west-1"}}}},
	}})
	deployment(t, "team-a", "web", template(ecrHost+"/web", "", "wide"))
	deployment(t, "team-b", "web", template(ecrHost+"/web", "", "wide"))
	for _, scope := range [][]string{{"cregcred/wide"}, {"-n", "team-b"}} {
		if got, want := suffering(t, scope...), []string{"may deployment/web -n team-b"}; !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", scope, got, want)
		}
	}
	if got := suffering(t, "-n", "team-a"); len(got) > 0 {
		t.Errorf("%q", got)
	}
}
