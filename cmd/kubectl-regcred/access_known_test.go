package main

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
)

// What the cluster says of identities is neither made anew nor left in capitals.
func TestAccessKnowsWhatServiceAccountsSay(t *testing.T) {
	const client = "72f988bf-86f1-41af-91ab-2d7cd011db47"
	account := func(namespace, name string, annotations map[string]string) {
		create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: annotations}})
	}
	account("team-a", "aws", map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::210987654321:role/team/there"})
	account("team-a", "google", map[string]string{"iam.gke.io/gcp-service-account": "there@my-project.iam.gserviceaccount.com"})
	account("team-a", "azure", map[string]string{"azure.workload.identity/client-id": client, "azure.workload.identity/tenant-id": client})
	account("team-a", "evil", map[string]string{"eks.amazonaws.com/role-arn": evils[len(evils)-1]})
	account("team-a", "plain", nil)
	entry := func(name, provider, account string) string {
		return "  - {name: " + name + ", " + provider + ", identity: {serviceAccountRef: {name: " + account + "}}}\n"
	}
	o := &v1alpha1.RegistryCredential{}
	if err := yaml.UnmarshalStrict([]byte("metadata: {name: told, namespace: team-a}\nspec:\n  registries:\n"+entry("aws", "ecr: {region: eu-west-1}", "aws")+entry("evil", "ecr: {region: eu-west-1}", "evil")+
		entry("plain", "ecr: {region: eu-west-1}", "plain")+entry("google", "artifactRegistry: {hosts: [gcr.io]}", "google")+entry("azure", "acr: {registry: acme.azurecr.io}", "azure")), o); err != nil {
		t.Fatal(err)
	}
	create(t, o)
	r := run(t, "access", "regcred/told", "-n", "team-a")
	for _, want := range []string{
		"--role-name there --policy-name regcred-team-a_told-aws ", "arn:aws:ecr:eu-west-1:210987654321:repository/*", "create-role --role-name regcred-team-a_told-plain ",
		"add-iam-policy-binding there@my-project.iam.gserviceaccount.com ", "--assignee " + client,
	} {
		if r.code != cli.Fine || !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in %+v", want, r)
		}
	}
	for _, made := range []string{"create-role --role-name regcred-team-a_told-aws", "kubectl create", "CLIENT-ID", "TENANT-ID"} {
		if strings.Contains(r.stdout, made) {
			t.Errorf("%q, although it is there: %s", made, r.stdout)
		}
	}
	inert(t, r.stdout)

	_, blind, err := cp.AddUser("accountless", nil)
	if err != nil {
		t.Fatal(err)
	}
	grant(t, "team-a", "accountless", rbacv1.PolicyRule{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"registrycredentials"}, Verbs: []string{"get"}})
	if r := as(t, blind, "", "access", "regcred/told", "-n", "team-a"); r.code != cli.Fine || !strings.Contains(r.stdout, "CLIENT-ID") || !strings.Contains(r.stderr, "not read: serviceaccounts in namespace team-a") {
		t.Errorf("%+v", r)
	}
}

// The identity of the controller is that of its ServiceAccount.
func TestAccessKnowsWhatTheControllerIs(t *testing.T) {
	create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "audit-a", Name: "own", Annotations: map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::210987654321:role/controller"}}})
	labels := map[string]string{"app.kubernetes.io/name": "regcred"}
	create(t, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "audit-a", Name: "regcred", Labels: labels}, Spec: appsv1.DeploymentSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec: corev1.PodSpec{ServiceAccountName: "own", Containers: []corev1.Container{{Name: "regcred", Image: "regcred"}}}}}})
	create(t, &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: "ambient"}, Spec: v1alpha1.ClusterCredentialSpec{
		CredentialSpec: v1alpha1.CredentialSpec{Registries: []v1alpha1.Registry{{Name: "aws", ECR: &v1alpha1.ECR{Region: "eu-west-1"}}}}}})
	if r := run(t, "access", "cregcred/ambient", "--controller-namespace=audit-a"); r.code != cli.Fine || !strings.Contains(r.stdout, "put-role-policy --role-name controller ") {
		t.Errorf("%+v", r)
	}
}
