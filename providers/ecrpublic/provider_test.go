package ecrpublic_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/ecrpublic"
	"github.com/regcred/regcred/providers/internal/awsauth"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/cloud/facts"
)

// startAWS starts a cloud, and makes it the one that the SDK finds.
func startAWS(t *testing.T) *cloud.AWS {
	t.Helper()
	aws, err := cloud.StartAWS(cloud.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = aws.Close() })
	for _, variable := range aws.Env() {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	return aws
}

func request(spec v1alpha1.ECRPublic, id providers.Identity) providers.Request {
	return providers.Request{Registry: v1alpha1.Registry{Name: "public", ECRPublic: &spec}, Identity: id}
}

const (
	baseRole = "arn:aws:iam::123456789012:role/base"
	topRole  = "arn:aws:iam::999999999999:role/top"
	subject  = "system:serviceaccount:team-a:puller"
)

var mayAll = cloud.ECRPublicPermissions{MayGetToken: true, MayGetServiceBearerToken: true}

func serviceAccount(role string) providers.Identity {
	return providers.Identity{ServiceAccount: &providers.ServiceAccount{
		Namespace: "team-a", Name: "puller", UID: "1", Annotations: map[string]string{"eks.amazonaws.com/role-arn": role},
		RequestToken: func(_ context.Context, audience string, lifetime time.Duration) (string, error) {
			return cloud.WebIdentityToken("https://cluster.example", subject, audience, time.Now().Add(lifetime))
		},
	}}
}

func reason(err error) string {
	if known, ok := errors.AsType[*providers.Error](err); ok {
		return known.Reason
	}
	return ""
}

func TestARoleOnTopOfAServiceAccountAsks(t *testing.T) {
	aws := startAWS(t)
	// The region is us-east-1, whatever the controller's is.
	t.Setenv("AWS_REGION", "eu-west-1")
	for _, r := range []cloud.Role{
		{ARN: baseRole, WebIdentity: &cloud.WebIdentity{Subject: subject, Audience: "sts.amazonaws.com"}},
		{ARN: topRole, TrustedPrincipals: []string{baseRole}, ExternalID: "42", Public: mayAll},
	} {
		if err := aws.AddRole(r); err != nil {
			t.Fatal(err)
		}
	}
	spec := v1alpha1.ECRPublic{RoleARN: topRole, ExternalID: "42"}
	token, err := ecrpublic.New(clock.RealClock{}, awsauth.NewConfiguration(nil)).Token(t.Context(), request(spec, serviceAccount(baseRole)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"public.ecr.aws"}, token.Hosts()); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if got := aws.ECRPublicTokens()[0]; got.Region != "us-east-1" || !strings.Contains(got.Principal, "999999999999:assumed-role/top/") {
		t.Errorf("the token was given to %s in %s", got.Principal, got.Region)
	}
	spec.ExternalID = "wrong"
	_, err = ecrpublic.New(clock.RealClock{}, awsauth.NewConfiguration(nil)).Token(t.Context(), request(spec, serviceAccount(baseRole)))
	if reason(err) != v1alpha1.ReasonAccessDenied || !strings.Contains(err.Error(), "sts:AssumeRole of "+topRole) {
		t.Errorf("a wrong external ID: %v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestDualStackUsesItsOwnEndpointAndBothHosts(t *testing.T) {
	aws := startAWS(t)
	// The endpoint's real name, on the emulated internet.
	t.Setenv("AWS_ENDPOINT_URL_ECR_PUBLIC", "")
	t.Setenv("AWS_CA_BUNDLE", "")
	var asked []string
	provider := ecrpublic.New(clock.RealClock{}, awsauth.NewConfiguration(roundTripper(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.URL.Host)
		return aws.Transport().RoundTrip(r)
	})))
	for dualStack, want := range map[bool][]string{
		false: {"public.ecr.aws"},
		true:  {"public.ecr.aws", "ecr-public.aws.com"},
	} {
		asked = nil
		api := slices.IndexFunc(facts.AWSEndpoints, func(e facts.AWSEndpoint) bool { return e.Service == "ecr-public" && e.DualStack == dualStack })
		endpoint := provider.Endpoint(request(v1alpha1.ECRPublic{DualStack: dualStack}, providers.Identity{}))
		token, err := provider.Token(t.Context(), request(v1alpha1.ECRPublic{DualStack: dualStack}, providers.Identity{}))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, token.Hosts()); diff != "" {
			t.Errorf("dualStack %t (-want +got):\n%s", dualStack, diff)
		}
		if name := facts.AWSEndpoints[api].Host; !slices.Equal(asked, []string{name}) || endpoint != name+" as the controller" {
			t.Errorf("dualStack %t: asked %v, want %s; the endpoint is said to be %q", dualStack, asked, name, endpoint)
		}
		for _, host := range token.Hosts() {
			if err := pull(t.Context(), aws, host, dockerConfig(t, host, token)); err != nil {
				t.Errorf("pulling from %s: %v", host, err)
			}
		}
	}
}

func dockerConfig(t *testing.T, host string, token providers.Token) []byte {
	t.Helper()
	auth := base64.StdEncoding.EncodeToString([]byte(token.Logins[0].Username + ":" + token.Logins[0].Password.Reveal()))
	raw, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"auth": auth}}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestBothPermissionsAreNeededAndNamed(t *testing.T) {
	for name, may := range map[string]cloud.ECRPublicPermissions{
		"neither":          {},
		"the token's only": {MayGetToken: true},
		"the bearer only":  {MayGetServiceBearerToken: true},
	} {
		t.Run(name, func(t *testing.T) {
			aws := startAWS(t)
			if err := aws.SetECRPublicPermissions(aws.Ambient().ARN(), may); err != nil {
				t.Fatal(err)
			}
			_, err := ecrpublic.New(clock.RealClock{}, awsauth.NewConfiguration(nil)).Token(t.Context(), request(v1alpha1.ECRPublic{}, providers.Identity{}))
			if reason(err) != v1alpha1.ReasonAccessDenied {
				t.Fatalf("got %v", err)
			}
			for _, words := range []string{"the controller's own identity", "ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"} {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%q does not say %q", err, words)
				}
			}
		})
	}
}

func TestAConfigurationThatCannotBeReadIsExplained(t *testing.T) {
	startAWS(t)
	t.Setenv("AWS_CA_BUNDLE", "/nonexistent")
	_, err := ecrpublic.New(clock.RealClock{}, awsauth.NewConfiguration(nil)).Token(t.Context(), request(v1alpha1.ECRPublic{}, providers.Identity{}))
	if reason(err) != v1alpha1.ReasonInvalidRequest || !strings.Contains(err.Error(), "check AWS_CA_BUNDLE") {
		t.Errorf("a CA bundle that is not there: %v", err)
	}
}
