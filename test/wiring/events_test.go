package wiring

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/lab"
)

func TestNamespacesComeAndGo(t *testing.T) {
	create(t, credential("comes", "eu-west-1"))
	create(t, namespace("comes-1", map[string]string{"team": "comes"}))
	s := secret(t, "comes-1", "comes", "the Secret", anySecret)
	linked(t, "comes-1", "default", "comes", true)
	if err := pull(t, s); err != nil {
		t.Errorf("the Secret does not pull: %v", err)
	}

	before := mints()
	create(t, namespace("comes-2", nil))
	patch(t, namespace("comes-2", nil), `{"metadata":{"labels":{"team":"comes"}}}`)
	secret(t, "comes-2", "comes", "the Secret of a namespace with a new label", anySecret)
	linked(t, "comes-2", "default", "comes", true)
	patch(t, namespace("comes-2", nil), `{"metadata":{"labels":{"team":null}}}`)
	goneSecret(t, "comes-2", "comes")
	linked(t, "comes-2", "default", "comes", false)
	if got := mints() - before; got != 0 {
		t.Errorf("%d calls for a second namespace, want none", got)
	}

	if err := world.Client.Delete(t.Context(), namespace("comes-1", nil)); err != nil {
		t.Fatal(err)
	}
	gone(t, namespace("comes-1", nil), &corev1.NamespaceList{})
}

func TestASelectorThatMovesTakesSecretsAlong(t *testing.T) {
	create(t, namespace("moves-1", map[string]string{"team": "moves"}))
	create(t, namespace("moves-2", map[string]string{"team": "elsewhere"}))
	c := credential("moves", "eu-west-2")
	create(t, c)
	secret(t, "moves-1", "moves", "the Secret", anySecret)
	linked(t, "moves-1", "default", "moves", true)
	patch(t, c, `{"spec":{"namespaceSelector":{"matchLabels":{"team":"elsewhere"}}}}`)
	secret(t, "moves-2", "moves", "the Secret in the newly selected namespace", anySecret)
	goneSecret(t, "moves-1", "moves")
	linked(t, "moves-1", "default", "moves", false)
}

func TestADeletedCredentialLeavesNothing(t *testing.T) {
	create(t, namespace("leaves-1", map[string]string{"team": "leaves"}))
	c := credential("leaves", "eu-west-3")
	create(t, c)
	secret(t, "leaves-1", "leaves", "the Secret", anySecret)
	linked(t, "leaves-1", "default", "leaves", true)
	if err := world.Client.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	linked(t, "leaves-1", "default", "leaves", false)
	goneSecret(t, "leaves-1", "leaves")
}

func TestTamperingIsNoticedAtOnce(t *testing.T) {
	create(t, namespace("tamper-1", map[string]string{"team": "tamper"}))
	create(t, credential("tamper", "us-east-1"))
	s := secret(t, "tamper-1", "tamper", "the Secret", anySecret)
	before := mints()
	if err := world.Client.Delete(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	restored := secret(t, "tamper-1", "tamper", "the restored Secret", func(r *corev1.Secret) bool { return r.UID != s.UID })
	edited := restored.DeepCopy()
	patch(t, edited, `{"data":{".dockerconfigjson":"e30="}}`)
	secret(t, "tamper-1", "tamper", "the repaired Secret", func(r *corev1.Secret) bool {
		return r.ResourceVersion != edited.ResourceVersion && string(r.Data[corev1.DockerConfigJsonKey]) == string(s.Data[corev1.DockerConfigJsonKey])
	})
	// Without its label the Secret leaves the controller's view.
	patch(t, edited, `{"metadata":{"labels":{"regcred.dev/secret":null}}}`)
	secret(t, "tamper-1", "tamper", "the label", func(r *corev1.Secret) bool { return r.Labels[v1alpha1.LabelSecret] == v1alpha1.LabelSecretTarget })
	if got := mints() - before; got != 0 {
		t.Errorf("%d calls, want none", got)
	}
}

func TestServiceAccountsAreLinkedWhenTheyAppear(t *testing.T) {
	create(t, namespace("links-1", map[string]string{"team": "links"}))
	c := credential("links", "us-east-2")
	c.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Selector: &v1alpha1.Selector{MatchLabels: map[string]v1alpha1.LabelValue{"pulls": "yes"}}}
	create(t, c)
	secret(t, "links-1", "links", "the Secret", anySecret)
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "links-1", Name: "late", Labels: map[string]string{"pulls": "yes"}}}
	create(t, sa)
	linked(t, "links-1", "late", "links", true)
	patch(t, sa, `{"imagePullSecrets":[{"name":"theirs"}]}`)
	linked(t, "links-1", "late", "links", true)
	linked(t, "links-1", "late", "theirs", true)
	patch(t, sa, `{"metadata":{"labels":{"pulls":"no"}}}`)
	linked(t, "links-1", "late", "links", false)
}

func TestARefreshRequestIsAnswered(t *testing.T) {
	create(t, namespace("refresh-1", map[string]string{"team": "refresh"}))
	c := credential("refresh", "us-west-1")
	create(t, c)
	s := secret(t, "refresh-1", "refresh", "the Secret", anySecret)
	patch(t, c, `{"metadata":{"annotations":{"regcred.dev/refresh-requested-at":"now"}}}`)
	after := secret(t, "refresh-1", "refresh", "a new token", func(r *corev1.Secret) bool {
		return string(r.Data[corev1.DockerConfigJsonKey]) != string(s.Data[corev1.DockerConfigJsonKey])
	})
	if after.UID != s.UID {
		t.Error("the Secret was replaced")
	}
}

func TestATeamsServiceAccountPullsWithItsOwnRole(t *testing.T) {
	const role = "arn:aws:iam::123456789012:role/team-pull"
	err := world.AWS.AddRole(cloud.Role{ARN: role, MayGetToken: true, Pull: []string{"123456789012/team/*"},
		WebIdentity: &cloud.WebIdentity{Subject: "system:serviceaccount:team:puller", Audience: "sts.amazonaws.com"}})
	if err != nil {
		t.Fatal(err)
	}
	create(t, namespace("team", nil))
	c := &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "images"}}
	c.Spec.Registries = []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: "us-west-2"},
		Identity: &v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: "puller"}}}}
	create(t, c)
	condition(t, c, v1alpha1.ReasonIdentityNotFound, "ServiceAccount team/puller does not exist")
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "puller"}}
	create(t, sa)
	condition(t, c, v1alpha1.ReasonIdentityInvalid, "annotate it with eks.amazonaws.com/role-arn")
	patch(t, sa, `{"metadata":{"annotations":{"eks.amazonaws.com/role-arn":"`+role+`"}}}`)
	if err := pull(t, secret(t, "team", "images", "the Secret", anySecret)); err != nil {
		t.Errorf("the Secret does not pull: %v", err)
	}
	condition(t, c, v1alpha1.ReasonCurrent, "Pods can pull")
}

// condition waits until Ready has the reason and says the words.
func condition(t *testing.T, c *v1alpha1.RegistryCredential, reason, says string) {
	t.Helper()
	until(t, &v1alpha1.RegistryCredentialList{}, c.Namespace, c.Name, reason, func(c *v1alpha1.RegistryCredential, _ bool) bool {
		for _, condition := range c.Status.Conditions {
			if condition.Type == v1alpha1.ConditionReady && condition.Reason == reason && strings.Contains(condition.Message, says) {
				return true
			}
		}
		return false
	})
}

// current waits until the one namespace of the cluster-wide credential is reported to be current.
func current(t *testing.T, name string) {
	t.Helper()
	until(t, &v1alpha1.ClusterRegistryCredentialList{}, "", name, "its status", func(c *v1alpha1.ClusterRegistryCredential, _ bool) bool {
		return c.Status.Namespaces != nil && c.Status.Namespaces.Current == 1
	})
}

func TestAnIdentitysSecretWithTheWatchLabelIsWatched(t *testing.T) {
	create(t, namespace("keys", nil))
	keys := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "keys", Name: "keys", Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}}}
	create(t, keys)
	c := &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "keys", Name: "images"}}
	c.Spec.Registries = []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: "us-west-2"},
		Identity: &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: "keys"}}}}
	create(t, c)
	condition(t, c, v1alpha1.ReasonIdentityInvalid, "lacks the key AWS_ACCESS_KEY_ID: add it")
	user := cloud.User{Account: cloud.DefaultAccount, Name: "ci", AccessKeyID: "AKIACI", SecretAccessKey: cloud.CanarySTS + "ci", MayGetToken: true, Pull: []string{"*"}}
	world.AWS.AddUser(user)
	patch(t, keys, `{"stringData":{"AWS_ACCESS_KEY_ID":"`+user.AccessKeyID+`","AWS_SECRET_ACCESS_KEY":"`+user.SecretAccessKey+`"}}`)
	if err := pull(t, secret(t, "keys", "images", "the Secret", anySecret)); err != nil {
		t.Errorf("the Secret does not pull: %v", err)
	}
}

func TestMetricsSayWhenTokensExpireAndWhatWasCalled(t *testing.T) {
	create(t, namespace("metrics-1", map[string]string{"team": "metrics"}))
	create(t, credential("metrics", "sa-east-1"))
	current(t, "metrics")
	raw, err := scrape(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`regcred_token_expiry_timestamp_seconds{credential="metrics",credential_namespace="",kind="ClusterRegistryCredential",registry="prod"} 1.`,
		`regcred_provider_calls_total{provider="ecr"}`, `regcred_provider_call_duration_seconds_count{provider="ecr"}`,
		`regcred_targets_current{credential="metrics",credential_namespace="",kind="ClusterRegistryCredential"} 1`, "regcred_active 1",
	} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

func TestARestartAndAQuietClusterCostNoRequest(t *testing.T) {
	create(t, namespace("quiet-1", map[string]string{"team": "quiet"}))
	create(t, namespace("quiet-every", map[string]string{"team": "quiet-every"}))
	create(t, credential("quiet", "ca-central-1"))
	every := prepareEveryProvider(t, "quiet-every")
	create(t, every.credential)
	quiet := []*corev1.Secret{secret(t, "quiet-1", "quiet", "the Secret", anySecret), every.published(t, "quiet-every", every.entries()...)}
	current(t, "quiet")
	current(t, "quiet-every")
	if leaks, err := leaked(t.Context()); err != nil || len(leaks) > 0 { // the metrics end with the controller
		t.Errorf("credentials are shown by %v: %v", leaks, err)
	}
	if err := controller.Stop(); err != nil {
		t.Fatalf("the controller did not stop well: %v", err)
	}
	stopped, before := time.Now(), calls()
	next, err := world.StartController(t.Context(), &logged, flags...)
	if err != nil {
		t.Fatal(err)
	}
	controller = next
	// The answer to something new proves that everything old has been looked at: new things have no priority over a start.
	create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "quiet-every", Name: "late"}})
	linked(t, "quiet-every", "late", "quiet-every", true)
	create(t, namespace("quiet-2", map[string]string{"team": "quiet"}))
	secret(t, "quiet-2", "quiet", "the Secret", anySecret)
	if diff := cmp.Diff(map[string]int{"aws " + cloud.ActionGetAuthorizationToken: 1}, callsSince(before)); diff != "" {
		t.Errorf("calls after a restart, where one is for the new namespace (-want +got):\n%s", diff)
	}
	requests, err := world.AuditRequests(stopped, func(r controlplaneRequest) bool {
		return r.User == "system:serviceaccount:"+lab.Namespace+":regcred" && (r.Namespace == "quiet-1" || r.Namespace == "quiet-every" && r.Name != "late")
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range requests {
		t.Errorf("after a restart: %s %s/%s in %s", r.Verb, r.Resource, r.Name, r.Namespace)
	}
	for _, s := range quiet {
		after := &corev1.Secret{}
		if err := world.Client.Get(t.Context(), client.ObjectKeyFromObject(s), after); err != nil || after.ResourceVersion != s.ResourceVersion {
			t.Errorf("the fresh Secret %s was written: %v", s.Name, err)
		}
	}
}
