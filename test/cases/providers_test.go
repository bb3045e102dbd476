package cases

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/acr"
	"github.com/regcred/regcred/providers/ecr"
	"github.com/regcred/regcred/providers/static"
	"github.com/regcred/regcred/providers/verify"
	"github.com/regcred/regcred/test/cloud"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

var errUnreachable = errors.New("nothing leads there")

// reachable is AWS in a network where not every host can be reached, with a role for the ServiceAccount and one on top of it.
func reachable(t *testing.T, sa string, allowed func(host string) bool) *ecr.Provider {
	t.Helper()
	aws, err := cloud.StartAWS(cloud.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = aws.Close() })
	t.Setenv("AWS_CA_BUNDLE", "")
	const pull = "arn:aws:iam::123456789012:role/pull"
	for _, role := range []cloud.Role{
		{ARN: pull, MayGetToken: true, WebIdentity: &cloud.WebIdentity{Subject: sa, Audience: "sts.amazonaws.com"}},
		{ARN: "arn:aws:iam::210987654321:role/pull", MayGetToken: true, TrustedPrincipals: []string{pull}},
	} {
		if err := aws.AddRole(role); err != nil {
			t.Fatal(err)
		}
	}
	return ecr.New(clock.RealClock{}, ecr.Configuration(roundTripper(func(r *http.Request) (*http.Response, error) {
		if !allowed(r.URL.Host) {
			return nil, errUnreachable
		}
		return aws.Transport().RoundTrip(r)
	})))
}

// F05: the controller reaches STS in its own region alone, and the registry is in another.
func TestSTSIsReachedAtHome(t *testing.T) {
	t.Setenv("AWS_REGION", "us-east-1")
	all := objects(t, "F05/case.yaml")
	sa := find[*corev1.ServiceAccount](t, all)
	p := reachable(t, "system:serviceaccount:case-f05:puller", func(host string) bool {
		return host == "sts.us-east-1.amazonaws.com" || host == "api.ecr.eu-west-1.amazonaws.com"
	})
	for _, entry := range find[*v1alpha1.RegistryCredential](t, all).Spec.Registries {
		token, err := p.Token(t.Context(), byAccount(entry, sa))
		if want := entry.ECR.Accounts[0] + ".dkr.ecr.eu-west-1.amazonaws.com"; err != nil || !slices.Equal(token.Hosts(), []string{want}) {
			t.Errorf("%s: %v, %v", entry.Name, token.Hosts(), err)
		}
	}
}

// F25: a controller without IPv4 reaches what has dual-stack names alone.
func TestANetworkWithoutIPv4(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-west-1")
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "case-f25", Name: "puller",
		Annotations: map[string]string{"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/pull"}}}
	entry := find[*v1alpha1.RegistryCredential](t, objects(t, "F25/case.yaml")).Spec.Registries[0]
	for _, everywhere := range []string{"", "true"} {
		t.Setenv("AWS_USE_DUALSTACK_ENDPOINT", everywhere)
		p := reachable(t, "system:serviceaccount:case-f25:puller", func(host string) bool { return strings.HasSuffix(host, ".api.aws") })
		token, err := p.Token(t.Context(), byAccount(entry, sa))
		if err != nil || !slices.Equal(token.Hosts(), []string{"123456789012.dkr-ecr.eu-west-1.on.aws"}) {
			t.Errorf("AWS_USE_DUALSTACK_ENDPOINT=%s: %v, %v", everywhere, token.Hosts(), err)
		}
	}
}

// F02: a client secret of Entra with the line feed that `echo` leaves.
func TestALineFeedIsNoPartOfAClientSecret(t *testing.T) {
	all := objects(t, "F02/acr.yaml")
	azure, err := cloud.StartAzure(cloud.AzureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = azure.Close() }()
	const client, tenant = "22222222-2222-2222-2222-222222222222", "11111111-1111-1111-1111-111111111111"
	entry := find[*v1alpha1.RegistryCredential](t, all).Spec.Registries[0]
	azure.AddApplication(cloud.AzureApplication{ClientID: client, Tenant: tenant, Secret: "case-client-secret"})
	if err := azure.AddRegistry(cloud.AzureRegistry{Host: string(entry.ACR.Registry), Tenant: tenant}); err != nil {
		t.Fatal(err)
	}
	azure.AssignRole(cloud.AzureRoleAssignment{Registry: string(entry.ACR.Registry), ClientID: client, Role: cloud.AzureAcrPull})
	p, err := acr.New(clock.RealClock{}, acr.Options{Transport: azure.Transport()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Token(t.Context(), bySecret(entry, find[*corev1.Secret](t, all))); err != nil {
		t.Error(err)
	}
}

// F18: docker configs with what nobody typed.
func TestDockerConfigsAsPeopleWriteThem(t *testing.T) {
	for file, password := range map[string]string{
		"bom.json":                      "", // refused
		"crlf-in-auth.json":             "case-password",
		"newline-in-auth.json":          "case-password",
		"newline-in-password.json":      "case-password",
		"good-wrapped-auth.json":        "case-password",
		"good-colon-dollar-umlaut.json": "pa:ss$wordü",
	} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "source"}, Data: map[string][]byte{corev1.DockerConfigJsonKey: read(t, "F18/"+file)}}
		token, err := static.New(clock.RealClock{}).Token(t.Context(), bySecret(v1alpha1.Registry{Name: "all", Static: &v1alpha1.Static{}}, secret))
		switch failure, ok := errors.AsType[*providers.Error](err); {
		case password == "":
			if !ok || failure.Reason != v1alpha1.ReasonIdentityInvalid || !strings.Contains(err.Error(), "the key .dockerconfigjson of Secret team/source has a byte order mark") {
				t.Errorf("%s: %v", file, err)
			}
		case err != nil || token.Logins[0].Username != "case-bot" || token.Logins[0].Password.Reveal() != password:
			t.Errorf("%s: not what somebody typed (%v)", file, err)
		}
	}
}

// F22: a source with two keys of Docker Hub, of which argocd-image-updater looks for one and kubelets for the other.
func TestBothKeysOfDockerHubArePublished(t *testing.T) {
	all := objects(t, "F22/case.yaml")
	entry := find[*v1alpha1.RegistryCredential](t, all).Spec.Registries[0]
	token, err := static.New(clock.RealClock{}).Token(t.Context(), bySecret(entry, find[*corev1.Secret](t, all)))
	if err != nil || !slices.Equal(token.Hosts(), []string{"docker.io", "https://registry-1.docker.io"}) {
		t.Errorf("%v, %v", token.Hosts(), err)
	}
}

// F13: what answers is a firewall or a proxy, which says nothing of the login.
func TestAFirewallsWordIsNoVerdict(t *testing.T) {
	for _, file := range []string{"acr-firewall-answer.txt", "proxy-answer.txt"} {
		raw := bytes.ReplaceAll(read(t, "F13/"+file), []byte("\n"), []byte("\r\n"))
		trials := verify.New(roundTripper(func(r *http.Request) (*http.Response, error) {
			return http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), r)
		}), nil)
		all := objects(t, "F13/case.yaml")
		entry := find[*v1alpha1.RegistryCredential](t, all).Spec.Registries[0]
		req := bySecret(entry, find[*corev1.Secret](t, all))
		token, err := static.New(clock.RealClock{}).Token(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		login, pull, err := trials.Pick(req, token)
		if err != nil {
			t.Fatal(err)
		}
		verdict, err := trials.Try(t.Context(), login, pull)
		if failure, ok := errors.AsType[*providers.Error](err); !ok || failure.Scope != providers.ScopeRequest || !strings.Contains(err.Error(), "a firewall or a proxy in between may have sent it") {
			t.Errorf("%s: %+v, %v", file, verdict, err)
		}
	}
}
