package artifactory_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/artifactory"
	"github.com/regcred/regcred/providers/internal/awsauth"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/cloud/facts"
)

const pullRole = "arn:aws:iam::123456789012:role/pull"

// startWithAWS starts a platform that knows a role, which the ServiceAccount may assume.
func startWithAWS(t *testing.T, host string) (*cloud.JFrog, *cloud.AWS) {
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
	t.Setenv("AWS_REGION", "eu-west-1")
	if err := aws.AddRole(cloud.Role{ARN: pullRole, WebIdentity: &cloud.WebIdentity{Subject: subject, Audience: "sts.amazonaws.com"}}); err != nil {
		t.Fatal(err)
	}
	jfrog := startJFrog(t, cloud.JFrogOptions{Host: host, AWS: aws})
	jfrog.AddAWSRole(pullRole, "puller")
	return jfrog, aws
}

func roleOf(t *testing.T, audiences *[]string) providers.Identity {
	t.Helper()
	id := serviceAccount(t, audiences)
	id.ServiceAccount.Annotations = map[string]string{"eks.amazonaws.com/role-arn": pullRole}
	return id
}

func TestARoleOfAWSLogsIn(t *testing.T) {
	for _, host := range []string{"acme.jfrog.io", "artifactory.acme.example"} {
		jfrog, _ := startWithAWS(t, host)
		var audiences []string
		token, err := newProvider(t, jfrog.Transport()).Token(t.Context(),
			request(v1alpha1.Artifactory{URL: "https://" + host, AWS: &v1alpha1.ArtifactoryAWS{}, TokenLifetime: "2h"}, roleOf(t, &audiences)))
		if err != nil {
			t.Fatalf("%s: %v", host, err)
		}
		if life := time.Until(token.ExpiresAt); token.Logins[0].Username != "puller" || life < 119*time.Minute || life > 2*time.Hour {
			t.Errorf("%s: %s for %s", host, token.Logins[0].Username, life)
		}
		if len(audiences) != 1 || audiences[0] != "sts.amazonaws.com" {
			t.Errorf("tokens for %v were asked for, and AWS alone gets one", audiences)
		}
		if token.ID == "" || !jfrog.IsLive(token.Logins[0].Password.Reveal()) {
			t.Errorf("%s: the token is not one that the platform knows", host)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// What JFrog gets is what its own operator sends: the request to STS is signed, and is not sent by us.
func TestALoginIsTheOneOfJFrogsOwnOperator(t *testing.T) {
	if awsauth.CallerIdentity != facts.JFrogAWSRequest {
		t.Errorf("%s is signed", awsauth.CallerIdentity)
	}
	jfrog, _ := startWithAWS(t, "acme.jfrog.io")
	var paths []string
	_, err := newProvider(t, roundTripper(func(r *http.Request) (*http.Response, error) {
		paths = append(paths, r.Method+" "+r.URL.Path)
		return jfrog.Transport().RoundTrip(r)
	})).Token(t.Context(), request(v1alpha1.Artifactory{URL: jfrog.URL(), AWS: &v1alpha1.ArtifactoryAWS{}}, roleOf(t, nil)))
	if err != nil || !slices.Equal(paths, []string{"POST " + facts.JFrogAWSPath}) {
		t.Errorf("asked %v, %v", paths, err)
	}
}

func TestARoleIsShownToNobodyElse(t *testing.T) {
	for _, url := range []string{"https://evil.example", "https://acme.jfrog.io.evil.example", "https://x.acme.jfrog.io", "https://jfrog.io", "https://acme.jfrog.io:8443", "https://evil-jfrog.io"} {
		jfrog, aws := startWithAWS(t, "acme.jfrog.io")
		_, err := newProvider(t, jfrog.Transport()).Token(t.Context(), request(v1alpha1.Artifactory{URL: url, AWS: &v1alpha1.ArtifactoryAWS{}}, roleOf(t, nil)))
		wantError(t, err, v1alpha1.ReasonInvalidRequest, "--artifactory-aws-platforms")
		if n := aws.Calls().Of(cloud.ActionAssumeRoleWithWebIdentity); n != 0 {
			t.Errorf("%s: the role was assumed %d times", url, n)
		}
	}
}

func TestARoleThatCannotLogInIsExplained(t *testing.T) {
	for name, c := range map[string]struct {
		setUp        func(t *testing.T, jfrog *cloud.JFrog)
		id           func(t *testing.T) providers.Identity
		spec         v1alpha1.ArtifactoryAWS
		reason, says string
	}{
		"a role that JFrog does not know": {
			func(_ *testing.T, jfrog *cloud.JFrog) { jfrog.AddAWSRole(pullRole, "") }, nil, v1alpha1.ArtifactoryAWS{}, v1alpha1.ReasonAccessDenied, "iam_role",
		},
		"no region":                  {func(t *testing.T, _ *cloud.JFrog) { t.Helper(); t.Setenv("AWS_REGION", "") }, nil, v1alpha1.ArtifactoryAWS{}, v1alpha1.ReasonInvalidRequest, "artifactory.aws.region"},
		"the controller's identity":  {nil, func(*testing.T) providers.Identity { return providers.Identity{} }, v1alpha1.ArtifactoryAWS{}, v1alpha1.ReasonIdentityInvalid, "no identity of the controller's own"},
		"a role that is not trusted": {nil, nil, v1alpha1.ArtifactoryAWS{RoleARN: "arn:aws:iam::123456789012:role/closed"}, v1alpha1.ReasonAccessDenied, "sts:AssumeRole of arn:aws:iam::123456789012:role/closed"},
	} {
		t.Run(name, func(t *testing.T) {
			jfrog, _ := startWithAWS(t, "acme.jfrog.io")
			if c.setUp != nil {
				c.setUp(t, jfrog)
			}
			id := roleOf(t, nil)
			if c.id != nil {
				id = c.id(t)
			}
			_, err := newProvider(t, jfrog.Transport()).Token(t.Context(), request(v1alpha1.Artifactory{URL: jfrog.URL(), AWS: &c.spec}, id))
			wantError(t, err, c.reason, c.says)
		})
	}
}

func TestAnAudienceBelongsToItsDestination(t *testing.T) {
	for name, c := range map[string]struct {
		url, audience string
		asked         []string
		says          string
	}{
		"of the URL by default":   {"https://acme.jfrog.io", "", []string{"https://acme.jfrog.io"}, ""},
		"of the URL by name":      {"https://acme.jfrog.io", "https://acme.jfrog.io", []string{"https://acme.jfrog.io"}, ""},
		"bound to the URL":        {"https://acme.jfrog.io", "jfrog", []string{"jfrog"}, ""},
		"bound to another URL":    {"https://evil.example", "jfrog", nil, "--artifactory-audiences"},
		"another platform's":      {"https://evil.example", "https://acme.jfrog.io", nil, "--artifactory-audiences"},
		"AWS'":                    {"https://evil.example", "sts.amazonaws.com", nil, "an audience of AWS"},
		"AWS', at a platform":     {"https://acme.jfrog.io", "sts.amazonaws.com", nil, "an audience of AWS"},
		"Azure's":                 {"https://evil.example", "api://AzureADTokenExchange", nil, "an audience of Azure"},
		"Google's":                {"https://evil.example", "my-project.svc.id.goog", nil, "an audience of Google"},
		"the API server's":        {"https://evil.example", "https://kubernetes.default.svc", nil, "an audience of Kubernetes"},
		"the API server's by URL": {"https://kubernetes.default.svc", "", nil, "an audience of Kubernetes"},
	} {
		t.Run(name, func(t *testing.T) {
			jfrog := startJFrog(t, cloud.JFrogOptions{})
			jfrog.AddProvider(cloud.JFrogProvider{Name: "cluster", Issuer: issuer, Mappings: []cloud.JFrogIdentityMapping{
				{Name: "team-a", Claims: map[string]string{"sub": subject}, Username: "puller"},
			}})
			var asked []string
			_, err := newProvider(t, jfrog.Transport()).Token(t.Context(),
				request(v1alpha1.Artifactory{URL: c.url, ProviderName: "cluster", Audience: c.audience}, serviceAccount(t, &asked)))
			if strings.Join(asked, " ") != strings.Join(c.asked, " ") {
				t.Errorf("tokens for %v were asked for, want %v", asked, c.asked)
			}
			if c.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, v1alpha1.ReasonInvalidRequest, c.says)
		})
	}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, o := range []artifactory.Options{
		{Audiences: []string{"jfrog"}}, {Audiences: []string{"https://acme.jfrog.io="}}, {Audiences: []string{"acme.jfrog.io=jfrog"}},
		{Audiences: []string{"https://acme.jfrog.io/x=jfrog"}}, {Audiences: []string{"https://acme.jfrog.io=sts.amazonaws.com"}},
		{Audiences: []string{"https://acme.jfrog.io=https://kubernetes.default.svc"}},
		{AWSPlatforms: []string{"acme.example"}}, {AWSPlatforms: []string{"https://*.acme.example"}}, {AWSPlatforms: []string{""}},
	} {
		if _, err := artifactory.New(clock.RealClock{}, o); err == nil || !strings.HasPrefix(err.Error(), "--artifactory-a") {
			t.Errorf("%v: %v", o, err)
		}
	}
}

func TestATokenWithWhatNobodyTypedIsNotSent(t *testing.T) {
	jfrog := startJFrog(t, cloud.JFrogOptions{})
	password, _ := jfrog.CreateToken("admin", time.Hour)
	for text, says := range map[string]string{password + "\n": "", password + "\r\n": "", "\ufeff" + password: "byte order mark", password + "\x00": "NUL", password + "\n\n": "more than one line"} {
		jfrog.ResetCalls()
		_, err := newProvider(t, jfrog.Transport()).Token(t.Context(), request(v1alpha1.Artifactory{URL: jfrog.URL()}, secret(&text)))
		if says == "" {
			if err != nil {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		wantError(t, err, v1alpha1.ReasonIdentityInvalid, says)
		if n := jfrog.Calls().Of(cloud.ActionJFrogCreateToken); n != 0 {
			t.Errorf("%q was sent %d times", text, n)
		}
	}
}

// When STS fails, those who log in another way do not rest with those who go by it.
func TestTheWayOfARoleIsAnEndpointOfItsOwn(t *testing.T) {
	jfrog, aws := startWithAWS(t, "acme.jfrog.io")
	aws.STS.Set(cloud.Fault{Outage: cloud.OutageServerError})
	p := newProvider(t, jfrog.Transport())
	byRole := request(v1alpha1.Artifactory{URL: jfrog.URL(), AWS: &v1alpha1.ArtifactoryAWS{}}, roleOf(t, nil))
	_, err := p.Token(t.Context(), byRole)
	if failure, ok := errors.AsType[*providers.Error](err); !ok || failure.Scope != providers.ScopeEndpoint {
		t.Fatalf("%v is not the endpoint's fault", err)
	}
	exchanged := request(v1alpha1.Artifactory{URL: jfrog.URL(), ProviderName: "cluster"}, serviceAccount(t, nil))
	if by, other := p.Endpoint(byRole), p.Endpoint(exchanged); other != "acme.jfrog.io" || !strings.HasPrefix(by, other+" by ") {
		t.Errorf("a role's endpoint is %q, and that of an exchange %q", by, other)
	}
	if _, err := p.Token(t.Context(), exchanged); err != nil {
		t.Errorf("an exchange fails with STS: %v", err)
	}
}
