package ecr_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/ecr"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/cloud/facts"
)

// network reaches the emulated AWS by the names that the SDK chooses, and notes them. Some answer something of their own.
type network struct {
	next http.RoundTripper
	odd  map[string]facts.Error

	mu    sync.Mutex
	asked []string
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	n.asked = append(n.asked, r.URL.Host)
	n.mu.Unlock()
	if odd, ok := n.odd[r.URL.Host]; ok {
		return &http.Response{StatusCode: odd.Status, Header: http.Header{"Content-Type": {odd.ContentType}}, Body: io.NopCloser(strings.NewReader(odd.Body)), Request: r}, nil
	}
	return n.next.RoundTrip(r)
}

// startNetwork starts a cloud that is found by its names, and a role that ServiceAccounts may assume.
func startNetwork(t *testing.T, home string) (*network, *ecr.Provider) {
	t.Helper()
	aws := startAWS(t)
	addRole(t, aws, cloud.Role{ARN: pullRole, MayGetToken: true, WebIdentity: &cloud.WebIdentity{Subject: subject, Audience: "sts.amazonaws.com"}})
	addRole(t, aws, cloud.Role{ARN: topRole, MayGetToken: true, TrustedPrincipals: []string{pullRole}})
	for _, name := range []string{"AWS_ENDPOINT_URL_ECR", "AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_ECR_PUBLIC", "AWS_CA_BUNDLE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_REGION", home)
	n := &network{next: aws.Transport()}
	return n, ecr.New(clock.RealClock{}, ecr.Configuration(n))
}

const topRole = "arn:aws:iam::210987654321:role/pull"

func byServiceAccount(t *testing.T, spec v1alpha1.ECR) providers.Request {
	t.Helper()
	return request(spec, serviceAccount(t, map[string]string{"eks.amazonaws.com/role-arn": pullRole}, new([]string)))
}

func TestEachCallGoesToTheEndpointThatIsWanted(t *testing.T) {
	const homeSTS = "sts.us-east-1.amazonaws.com"
	for name, c := range map[string]struct {
		home string
		env  string
		spec v1alpha1.ECR
		want []string
	}{
		"STS is asked at home":             {"us-east-1", "", v1alpha1.ECR{Region: "eu-west-1"}, []string{homeSTS, "api.ecr.eu-west-1.amazonaws.com"}},
		"also for a role on top":           {"us-east-1", "", v1alpha1.ECR{Region: "eu-west-1", RoleARN: topRole}, []string{homeSTS, homeSTS, "api.ecr.eu-west-1.amazonaws.com"}},
		"without a home, at the registry":  {"", "", v1alpha1.ECR{Region: "eu-west-1"}, []string{"sts.eu-west-1.amazonaws.com", "api.ecr.eu-west-1.amazonaws.com"}},
		"at home the registry is, too":     {"eu-west-1", "", v1alpha1.ECR{}, []string{"sts.eu-west-1.amazonaws.com", "api.ecr.eu-west-1.amazonaws.com"}},
		"another partition has its own":    {"us-east-1", "", v1alpha1.ECR{Region: "cn-north-1"}, []string{"sts.cn-north-1.amazonaws.com.cn", "api.ecr.cn-north-1.amazonaws.com.cn"}},
		"GovCloud has its own":             {"us-east-1", "", v1alpha1.ECR{Region: "us-gov-west-1"}, []string{"sts.us-gov-west-1.amazonaws.com", "api.ecr.us-gov-west-1.amazonaws.com"}},
		"IPv6 all the way":                 {"eu-west-1", "", v1alpha1.ECR{DualStack: true}, []string{"sts.eu-west-1.api.aws", "ecr.eu-west-1.api.aws"}},
		"IPv6 for the whole controller":    {"eu-west-1", "AWS_USE_DUALSTACK_ENDPOINT", v1alpha1.ECR{}, []string{"sts.eu-west-1.api.aws", "ecr.eu-west-1.api.aws"}},
		"FIPS all the way":                 {"us-west-2", "", v1alpha1.ECR{Region: "us-east-1", FIPS: true}, []string{"sts-fips.us-west-2.amazonaws.com", "ecr-fips.us-east-1.amazonaws.com"}},
		"FIPS where home has none":         {"eu-west-1", "", v1alpha1.ECR{Region: "us-east-1", FIPS: true}, []string{"sts-fips.us-east-1.amazonaws.com", "ecr-fips.us-east-1.amazonaws.com"}},
		"FIPS for the whole controller":    {"us-east-1", "AWS_USE_FIPS_ENDPOINT", v1alpha1.ECR{}, []string{"sts-fips.us-east-1.amazonaws.com", "ecr-fips.us-east-1.amazonaws.com"}},
		"FIPS and IPv6":                    {"us-east-1", "", v1alpha1.ECR{FIPS: true, DualStack: true}, []string{"sts-fips.us-east-1.api.aws", "ecr-fips.us-east-1.api.aws"}},
		"a private endpoint":               {"eu-west-1", "", v1alpha1.ECR{APIEndpoint: "https://" + facts.AWSVPCEndpoint}, []string{"sts.eu-west-1.amazonaws.com", facts.AWSVPCEndpoint}},
		"a private endpoint, IPv6 besides": {"eu-west-1", "", v1alpha1.ECR{APIEndpoint: "https://" + facts.AWSVPCEndpoint, DualStack: true}, []string{"sts.eu-west-1.api.aws", facts.AWSVPCEndpoint}},
	} {
		t.Run(name, func(t *testing.T) {
			n, p := startNetwork(t, c.home)
			if c.env != "" {
				t.Setenv(c.env, "true")
			}
			req := byServiceAccount(t, c.spec)
			endpoint := p.Endpoint(req)
			if len(n.asked) > 0 {
				t.Errorf("naming the endpoint asked %v", n.asked)
			}
			if _, err := p.Token(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(n.asked, c.want) {
				t.Errorf("asked %v, want %v", n.asked, c.want)
			}
			if want := c.want[len(c.want)-1] + " by " + c.want[0]; endpoint != want {
				t.Errorf("the endpoint is said to be %q, want %q", endpoint, want)
			}
		})
	}
}

func TestTheEndpointsAreThoseThatAWSLists(t *testing.T) {
	for _, fact := range facts.AWSEndpoints {
		if fact.Service == "ecr-public" {
			continue
		}
		t.Run(fact.Host, func(t *testing.T) {
			n, p := startNetwork(t, fact.Region)
			if _, err := p.Token(t.Context(), byServiceAccount(t, v1alpha1.ECR{Region: fact.Region, FIPS: fact.FIPS, DualStack: fact.DualStack})); err != nil {
				t.Fatal(err)
			}
			if !slices.Contains(n.asked, fact.Host) {
				t.Errorf("asked %v, want %s", n.asked, fact.Host)
			}
		})
	}
}

// In every partition a token is asked for with the same audience, as long as no annotation says otherwise.
func TestTheAudienceIsThatOfSTS(t *testing.T) {
	for _, region := range []string{"eu-west-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1"} {
		for annotated, want := range map[string]string{"": facts.STSAudience, "sts.amazonaws.com.cn": "sts.amazonaws.com.cn"} {
			_, p := startNetwork(t, region)
			var asked []string
			annotations := map[string]string{"eks.amazonaws.com/role-arn": pullRole}
			if annotated != "" {
				annotations["eks.amazonaws.com/audience"] = annotated
			}
			_, err := p.Token(t.Context(), request(v1alpha1.ECR{Region: region}, serviceAccount(t, annotations, &asked)))
			if !slices.Equal(asked, []string{want}) || (err == nil) != (want == facts.STSAudience) {
				t.Errorf("%s: tokens for %v were asked for, want %s (%v)", region, asked, want, err)
			}
		}
	}
}

func TestWhereThereIsNoEndpointTheEntryIsToBlame(t *testing.T) {
	n, p := startNetwork(t, "us-east-1")
	_, err := p.Token(t.Context(), byServiceAccount(t, v1alpha1.ECR{Region: "eu-west-1", FIPS: true}))
	failure, ok := errors.AsType[*providers.Error](err)
	if !ok || failure.Reason != v1alpha1.ReasonUnavailable || failure.Scope != providers.ScopeRequest || !strings.Contains(err.Error(), "does not resolve") {
		t.Errorf("got %v after %v, want a name that nobody has, and nobody else's fault", err, n.asked)
	}
}

func TestWhatPassesIsNoRefusal(t *testing.T) {
	for code, odd := range facts.STSErrors {
		n, p := startNetwork(t, "eu-west-1")
		n.odd = map[string]facts.Error{"sts.eu-west-1.amazonaws.com": odd}
		_, err := p.Token(t.Context(), byServiceAccount(t, v1alpha1.ECR{}))
		failure, ok := errors.AsType[*providers.Error](err)
		if !ok || failure.Reason != v1alpha1.ReasonUnavailable || failure.Scope != providers.ScopeRequest || !strings.Contains(err.Error(), code) {
			t.Errorf("%s: got %v, want Unavailable", code, err)
		}
	}
}

func TestAnOutageOfSTSIsNoMissingIdentity(t *testing.T) {
	aws := startAWS(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_REGION", "eu-west-1")
	for name, c := range map[string]struct {
		env   map[string]string
		scope providers.Scope
		says  string
	}{
		"STS does not answer":  {map[string]string{"AWS_ENDPOINT_URL_STS": "https://127.0.0.1:1"}, providers.ScopeEndpoint, "the connection failed"},
		"STS does not resolve": {map[string]string{"AWS_ENDPOINT_URL_STS": "https://sts.invalid"}, providers.ScopeRequest, "does not resolve"},
		"the agent of Pod Identity is away": {map[string]string{"AWS_ROLE_ARN": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "",
			"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/v1/credentials"}, providers.ScopeEndpoint, "the connection failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_ROLE_ARN", pullRole)
			t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", tokenFile(t))
			for key, value := range c.env {
				t.Setenv(key, value)
			}
			_, err := ecr.New(clock.RealClock{}, ecr.Configuration(nil)).Token(t.Context(), request(v1alpha1.ECR{}, providers.Identity{}))
			failure, ok := errors.AsType[*providers.Error](err)
			if !ok || failure.Reason != v1alpha1.ReasonUnavailable || failure.Scope != c.scope || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want Unavailable that says %q", err, c.says)
			}
		})
	}
	if n := aws.Calls().Of(cloud.ActionGetAuthorizationToken); n != 0 {
		t.Errorf("ECR was called %d times", n)
	}
}

// A key as `echo KEY | base64` makes it is one; what else nobody typed is refused before anything is sent.
func TestKeysWithWhatNobodyTyped(t *testing.T) {
	user := cloud.User{Account: "123456789012", Name: "ci", AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: cloud.CanarySTS + "key", MayGetToken: true}
	for name, c := range map[string]struct{ id, key, says string }{
		"line feeds":      {user.AccessKeyID + "\n", user.SecretAccessKey + "\n", ""},
		"CR and LF":       {user.AccessKeyID + "\r\n", user.SecretAccessKey + "\r\n", ""},
		"two line feeds":  {user.AccessKeyID, user.SecretAccessKey + "\n\n", "AWS_SECRET_ACCESS_KEY of Secret team-a/keys has more than one line"},
		"byte order mark": {"\ufeff" + user.AccessKeyID, user.SecretAccessKey, "AWS_ACCESS_KEY_ID of Secret team-a/keys has a byte order mark"},
		"NUL":             {user.AccessKeyID + "\x00", user.SecretAccessKey, "NUL"},
	} {
		t.Run(name, func(t *testing.T) {
			aws := startAWS(t)
			aws.AddUser(user)
			id := keys(map[string]string{"AWS_ACCESS_KEY_ID": c.id, "AWS_SECRET_ACCESS_KEY": c.key})
			_, err := ecr.New(clock.RealClock{}, ecr.Configuration(nil)).Token(t.Context(), request(v1alpha1.ECR{Region: "eu-west-1"}, id))
			if c.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if reason(err) != v1alpha1.ReasonIdentityInvalid || !strings.Contains(err.Error(), c.says) || cloud.ContainsCanary([]byte(err.Error())) {
				t.Errorf("got %v, want IdentityInvalid that says %q", err, c.says)
			}
			if n := aws.Calls().Of(cloud.ActionGetAuthorizationToken); n != 0 {
				t.Errorf("ECR was called %d times", n)
			}
		})
	}
}

func TestAnAudienceOfAnotherCloudIsNotForAWS(t *testing.T) {
	for _, audience := range []string{"api://AzureADTokenExchange", "my-project.svc.id.goog", "https://kubernetes.default.svc"} {
		startAWS(t)
		var asked []string
		id := serviceAccount(t, map[string]string{"eks.amazonaws.com/role-arn": pullRole, "eks.amazonaws.com/audience": audience}, &asked)
		_, err := ecr.New(clock.RealClock{}, ecr.Configuration(nil)).Token(t.Context(), request(v1alpha1.ECR{Region: "eu-west-1"}, id))
		if reason(err) != v1alpha1.ReasonIdentityInvalid || len(asked) > 0 {
			t.Errorf("%s: %v, and tokens were asked for with %v", audience, err, asked)
		}
	}
}
