//go:build live

package live

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/regcred/regcred/test/cloud/facts"
)

// client follows no redirect, as none of our clients does.
var client = &http.Client{
	Timeout:       20 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func resolves(t *testing.T, host string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := (&net.Resolver{}).LookupHost(ctx, host)
	return err
}

// 1. Every API host of AWS that we hold for one has a name in the public DNS.
func TestAWSEndpointsResolve(t *testing.T) {
	for _, fact := range facts.AWSEndpoints {
		if err := resolves(t, fact.Host); err != nil {
			t.Errorf("%s: %v", fact.Host, err)
		}
	}
}

// 2. The SDK's own FIPS name of ECR's API, which AWS does not list, and the FIPS names of regions without FIPS do not resolve. If the first
// does, the code that replaces it (providers/ecr, fipsEndpoint) can go.
func TestAWSNamesThatAreNotListed(t *testing.T) {
	for _, host := range []string{"api.ecr-fips.us-east-1.amazonaws.com", "ecr-fips.eu-west-1.amazonaws.com", "sts-fips.eu-west-1.amazonaws.com"} {
		err := resolves(t, host)
		var dns *net.DNSError
		if !errors.As(err, &dns) || !dns.IsNotFound {
			t.Errorf("%s: %v, want a name that nobody has", host, err)
		}
	}
}

// 3. The dual-stack names have addresses of both kinds.
func TestDualStackNamesHaveIPv6(t *testing.T) {
	for _, fact := range facts.AWSEndpoints {
		if !fact.DualStack {
			continue
		}
		if addresses, err := (&net.Resolver{}).LookupIP(t.Context(), "ip6", fact.Host); err != nil || len(addresses) == 0 {
			t.Errorf("%s has no IPv6 address: %v", fact.Host, err)
		}
	}
}

// 4. STS refuses a web identity that is none with a code that we know.
func TestSTSNamesWhatIsWrong(t *testing.T) {
	const call = "https://sts.eu-west-1.amazonaws.com/?Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=regcred" +
		"&RoleArn=arn:aws:iam::123456789012:role/none&WebIdentityToken=none"
	body, status := get(t, call)
	if status != http.StatusBadRequest || !strings.Contains(body, "<Code>InvalidIdentityToken</Code>") {
		t.Errorf("status %d: %s", status, body)
	}
}

// 5. Every registry host of Google resolves, and answers /v2/ with a challenge to a realm of its own.
func TestGoogleHostsChallenge(t *testing.T) {
	for _, host := range facts.GoogleHosts {
		status, says := challenge(t, host)
		if want := `realm="https://` + host + "/v2/token"; status != 0 && (status != http.StatusUnauthorized || !strings.Contains(says, want)) {
			t.Errorf("%s: status %d, challenge %q", host, status, says)
		}
	}
}

// 6. ECR challenges with Basic.
func TestECRChallenges(t *testing.T) {
	if status, says := challenge(t, "123456789012.dkr.ecr.eu-west-1.amazonaws.com"); status != 0 && !strings.HasPrefix(says, "Basic ") {
		t.Errorf("challenge %q", says)
	}
}

// 7. Every authority of Entra names its token endpoint.
func TestEntraHasItsAuthorities(t *testing.T) {
	for _, fact := range facts.AzureClouds {
		body, status := get(t, fact.Authority+"organizations/v2.0/.well-known/openid-configuration")
		if status != http.StatusOK || !strings.Contains(body, `"token_endpoint":"`+fact.Authority) {
			t.Errorf("%s: status %d", fact.Authority, status)
		}
	}
}

// 8. JFrog's sub-domain form on jfrog.io is one label: a certificate covers it, and a label below the platform's host has none.
func TestJFrogHostsHaveCertificates(t *testing.T) {
	const instance = "releases-docker.jfrog.io"
	if status, _ := challenge(t, instance); status >= http.StatusInternalServerError {
		t.Errorf("%s: status %d", instance, status)
	}
	if _, err := client.Get("https://docker.releases.jfrog.io/v2/"); err == nil { //nolint:bodyclose,noctx // there is none
		t.Error("docker.releases.jfrog.io has a certificate")
	}
}

// challenge is how a registry answers whoever shows nothing; 0 if it does not, which is reported.
func challenge(t *testing.T, host string) (status int, says string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+host+"/v2/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Errorf("%s: %v", host, err)
		return 0, ""
	}
	defer res.Body.Close()
	return res.StatusCode, res.Header.Get("WWW-Authenticate")
}
