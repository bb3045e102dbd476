package ecr_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/ecr"
	"github.com/regcred/regcred/providers/providertest"
	"github.com/regcred/regcred/test/cloud"
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

func request(spec v1alpha1.ECR, id providers.Identity) providers.Request {
	return providers.Request{Registry: v1alpha1.Registry{Name: "prod", ECR: &spec}, Identity: id}
}

const (
	pullRole = "arn:aws:iam::123456789012:role/pull"
	subject  = "system:serviceaccount:team-a:ecr-puller"
)

// serviceAccount asks a cluster for its tokens; the audiences asked for are noted.
func serviceAccount(t *testing.T, annotations map[string]string, audiences *[]string) providers.Identity {
	t.Helper()
	return providers.Identity{ServiceAccount: &providers.ServiceAccount{
		Namespace: "team-a", Name: "ecr-puller", UID: "1", Annotations: annotations,
		RequestToken: func(_ context.Context, audience string, lifetime time.Duration) (string, error) {
			if lifetime < 10*time.Minute {
				t.Errorf("a token of %s was asked for; Kubernetes grants no less than 10m", lifetime)
			}
			*audiences = append(*audiences, audience)
			return cloud.WebIdentityToken("https://cluster.example", subject, audience, time.Now().Add(lifetime))
		},
	}}
}

func keys(data map[string]string) providers.Identity {
	return providers.Identity{Secret: &providers.Secret{
		Namespace: "team-a", Name: "keys", DataHash: "1",
		Data: func(context.Context) (map[string][]byte, error) {
			raw := map[string][]byte{}
			for k, v := range data {
				raw[k] = []byte(v)
			}
			return raw, nil
		},
	}}
}

func addRole(t *testing.T, aws *cloud.AWS, r cloud.Role) {
	t.Helper()
	if err := aws.AddRole(r); err != nil {
		t.Fatal(err)
	}
}

func TestTheServiceAccountsRoleAsks(t *testing.T) {
	for name, c := range map[string]struct {
		annotations map[string]string
		audience    string
	}{
		"default audience": {map[string]string{"eks.amazonaws.com/role-arn": pullRole}, "sts.amazonaws.com"},
		"own audience":     {map[string]string{"eks.amazonaws.com/role-arn": pullRole, "eks.amazonaws.com/audience": "custom"}, "custom"},
		"the kubelet's pull role goes first": {map[string]string{
			"eks.amazonaws.com/ecr-role-arn": pullRole, "eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/other"}, "sts.amazonaws.com"},
	} {
		t.Run(name, func(t *testing.T) {
			aws := startAWS(t)
			addRole(t, aws, cloud.Role{ARN: pullRole, MayGetToken: true, Pull: []string{"*"},
				WebIdentity: &cloud.WebIdentity{Issuer: "https://cluster.example", Subject: subject, Audience: c.audience}})
			var audiences []string
			_, err := ecr.New(clock.RealClock{}, ecr.Configuration(nil)).Token(t.Context(),
				request(v1alpha1.ECR{Region: "eu-west-1"}, serviceAccount(t, c.annotations, &audiences)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{c.audience}, audiences); diff != "" {
				t.Errorf("audiences asked for (-want +got):\n%s", diff)
			}
			if got := lastPrincipal(aws); !strings.Contains(got, "assumed-role/pull/regcred-team-a-ecr-puller") {
				t.Errorf("the token was given to %s", got)
			}
		})
	}
}

func lastPrincipal(aws *cloud.AWS) string {
	tokens := aws.Tokens()
	return tokens[len(tokens)-1].Principal
}

func TestARoleIsAssumedOnTopOfAnyIdentity(t *testing.T) {
	const top = "arn:aws:iam::999999999999:role/cross"
	base := map[string]func(t *testing.T, aws *cloud.AWS) (providers.Identity, string){
		"ambient": func(_ *testing.T, aws *cloud.AWS) (providers.Identity, string) {
			return providers.Identity{}, aws.Ambient().ARN()
		},
		"ServiceAccount": func(t *testing.T, aws *cloud.AWS) (providers.Identity, string) {
			t.Helper()
			addRole(t, aws, cloud.Role{ARN: pullRole, WebIdentity: &cloud.WebIdentity{Subject: subject, Audience: "sts.amazonaws.com"}})
			return serviceAccount(t, map[string]string{"eks.amazonaws.com/role-arn": pullRole}, new([]string)), pullRole
		},
		"Secret": func(_ *testing.T, aws *cloud.AWS) (providers.Identity, string) {
			user := cloud.User{Account: "123456789012", Name: "ci", AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: cloud.CanarySTS + "key"}
			aws.AddUser(user)
			return keys(map[string]string{"AWS_ACCESS_KEY_ID": user.AccessKeyID, "AWS_SECRET_ACCESS_KEY": user.SecretAccessKey}), user.ARN()
		},
	}
	for name, setUp := range base {
		t.Run(name, func(t *testing.T) {
			aws := startAWS(t)
			id, principal := setUp(t, aws)
			addRole(t, aws, cloud.Role{ARN: top, TrustedPrincipals: []string{principal}, ExternalID: "42", MayGetToken: true})
			spec := v1alpha1.ECR{Region: "eu-west-1", RoleARN: top, ExternalID: "42"}
			token, err := ecr.New(clock.RealClock{}, ecr.Configuration(nil)).Token(t.Context(), request(spec, id))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"999999999999.dkr.ecr.eu-west-1.amazonaws.com"}, token.Hosts()); diff != "" {
				t.Errorf("without accounts the hosts are the role's own (-want +got):\n%s", diff)
			}
			spec.ExternalID = "wrong"
			if _, err = ecr.New(clock.RealClock{}, ecr.Configuration(nil)).Token(t.Context(), request(spec, id)); reason(err) != v1alpha1.ReasonAccessDenied {
				t.Errorf("a wrong external ID gave %v", err)
			}
		})
	}
}

func TestATokenOutlivesTheSessionThatMintedIt(t *testing.T) {
	aws := startAWS(t)
	addRole(t, aws, cloud.Role{ARN: pullRole, MayGetToken: true, WebIdentity: &cloud.WebIdentity{Subject: subject, Audience: "sts.amazonaws.com"}})
	id := serviceAccount(t, map[string]string{"eks.amazonaws.com/role-arn": pullRole}, new([]string))
	token, err := ecr.New(clock.RealClock{}, ecr.Configuration(nil)).Token(t.Context(), request(v1alpha1.ECR{Region: "eu-west-1"}, id))
	if err != nil {
		t.Fatal(err)
	}
	if life := time.Until(token.ExpiresAt); life < 11*time.Hour {
		t.Errorf("the session of 15 minutes has shortened the token to %s", life)
	}
}

func TestBadIdentitiesAreExplained(t *testing.T) {
	role := map[string]string{"eks.amazonaws.com/role-arn": pullRole}
	trust := cloud.Role{ARN: pullRole, MayGetToken: true, WebIdentity: &cloud.WebIdentity{Subject: subject, Audience: "sts.amazonaws.com"}}
	for name, c := range map[string]struct {
		roles    []cloud.Role
		spec     v1alpha1.ECR
		identity providers.Identity
		reason   string
		says     []string
	}{
		"ServiceAccount without a role": {
			identity: serviceAccount(t, nil, new([]string)), reason: v1alpha1.ReasonIdentityInvalid,
			says: []string{"ServiceAccount team-a/ecr-puller", "annotate it with eks.amazonaws.com/role-arn"},
		},
		"role that does not trust the ServiceAccount": {
			identity: serviceAccount(t, role, new([]string)), reason: v1alpha1.ReasonAccessDenied,
			says: []string{"sts:AssumeRoleWithWebIdentity", pullRole, "system:serviceaccount:team-a:ecr-puller", "aud sts.amazonaws.com"},
		},
		"audience that the role does not trust": {
			roles:    []cloud.Role{trust},
			identity: serviceAccount(t, map[string]string{"eks.amazonaws.com/role-arn": pullRole, "eks.amazonaws.com/audience": "other"}, new([]string)),
			reason:   v1alpha1.ReasonAccessDenied, says: []string{"aud other"},
		},
		"role on top that may not be assumed": {
			spec: v1alpha1.ECR{RoleARN: "arn:aws:iam::123456789012:role/closed"}, reason: v1alpha1.ReasonAccessDenied,
			says: []string{"sts:AssumeRole of arn:aws:iam::123456789012:role/closed", "the controller's own identity", "trust policy"},
		},
		"role without the permission": {
			roles:    []cloud.Role{{ARN: pullRole, WebIdentity: trust.WebIdentity}},
			identity: serviceAccount(t, role, new([]string)), reason: v1alpha1.ReasonAccessDenied,
			says: []string{"ecr:GetAuthorizationToken", "policies"},
		},
		"Secret without the key": {
			identity: keys(map[string]string{"AWS_ACCESS_KEY_ID": "AKIA"}), reason: v1alpha1.ReasonIdentityInvalid,
			says: []string{"Secret team-a/keys", "AWS_SECRET_ACCESS_KEY", "add it"},
		},
		"unknown access key": {
			identity: keys(map[string]string{"AWS_ACCESS_KEY_ID": "AKIANOBODY", "AWS_SECRET_ACCESS_KEY": cloud.CanarySTS + "x"}),
			reason:   v1alpha1.ReasonAccessDenied, says: []string{"access key does not exist"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			aws := startAWS(t)
			for _, r := range c.roles {
				addRole(t, aws, r)
			}
			c.spec.Region = "eu-west-1"
			_, err := ecr.New(clock.RealClock{}, ecr.Configuration(nil)).Token(t.Context(), request(c.spec, c.identity))
			if reason(err) != c.reason {
				t.Fatalf("got %s (%v), want %s", reason(err), err, c.reason)
			}
			providertest.Documented(t, err, "ecr.md")
			for _, words := range c.says {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%q does not say %q", err, words)
				}
			}
			if cloud.ContainsCanary([]byte(err.Error())) {
				t.Error("the error shows a secret")
			}
		})
	}
}

func reason(err error) string {
	var known *providers.Error
	if !errors.As(err, &known) {
		return ""
	}
	return known.Reason
}

func TestTheRegionIsTheEntrysOrTheControllers(t *testing.T) {
	aws := startAWS(t)
	t.Setenv("AWS_REGION", "")
	if _, err := ecr.New(clock.RealClock{}, ecr.Configuration(nil)).Token(t.Context(), request(v1alpha1.ECR{}, providers.Identity{})); reason(err) != v1alpha1.ReasonInvalidRequest {
		t.Errorf("without any region: %v, want InvalidRequest", err)
	}
	t.Setenv("AWS_REGION", "ap-southeast-2")
	for region, want := range map[string]string{"": "ap-southeast-2", "us-gov-west-1": "us-gov-west-1"} {
		token, err := ecr.New(clock.RealClock{}, ecr.Configuration(nil)).Token(t.Context(), request(v1alpha1.ECR{Region: region}, providers.Identity{}))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(token.Hosts()[0], "."+want+".") {
			t.Errorf("region %q: host %s, want one in %s", region, token.Hosts()[0], want)
		}
	}
	if tokens := aws.Tokens(); len(tokens) != 2 {
		t.Errorf("%d tokens were minted, want 2", len(tokens))
	}
}

func TestAConfigurationThatCannotBeReadIsExplained(t *testing.T) {
	startAWS(t)
	t.Setenv("AWS_CA_BUNDLE", "/nonexistent")
	_, err := ecr.New(clock.RealClock{}, ecr.Configuration(nil)).Token(t.Context(), request(v1alpha1.ECR{Region: "us-east-1"}, providers.Identity{}))
	if reason(err) != v1alpha1.ReasonInvalidRequest || !strings.Contains(err.Error(), "check AWS_CA_BUNDLE") {
		t.Errorf("a CA bundle that is not there: %v", err)
	}
}

func TestAnEndpointThatCannotBeReachedIsExplained(t *testing.T) {
	aws := startAWS(t)
	for name, c := range map[string]struct{ endpoint, says string }{
		"no listener":       {"https://127.0.0.1:1", "the connection failed"},
		"no such host":      {"https://ecr.invalid", "does not resolve"},
		"unknown authority": {aws.ECRURL(), "its certificate is not trusted"},
	} {
		t.Setenv("AWS_ENDPOINT_URL_ECR", c.endpoint)
		if name == "unknown authority" {
			t.Setenv("AWS_CA_BUNDLE", "")
		}
		_, err := ecr.New(clock.RealClock{}, ecr.Configuration(nil)).Token(t.Context(), request(v1alpha1.ECR{Region: "us-east-1"}, providers.Identity{}))
		if reason(err) != v1alpha1.ReasonUnavailable || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNoAmbientIdentityIsExplained(t *testing.T) {
	startAWS(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	_, err := ecr.New(clock.RealClock{}, ecr.Configuration(nil)).Token(t.Context(), request(v1alpha1.ECR{Region: "eu-west-1"}, providers.Identity{}))
	if reason(err) != v1alpha1.ReasonIdentityNotFound || !strings.Contains(err.Error(), "IAM roles for service accounts") {
		t.Errorf("got %v, want IdentityNotFound and where to get one", err)
	}
}

// tokenFile is what the webhook of IAM roles for service accounts mounts.
func tokenFile(t *testing.T) string {
	t.Helper()
	token, err := cloud.WebIdentityToken("https://cluster.example", subject, "sts.amazonaws.com", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
