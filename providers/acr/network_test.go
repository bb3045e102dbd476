package acr_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/acr"
	"github.com/regcred/regcred/test/cloud"
)

// program makes the test binary the program of the next test: the environment's proxy and authorities are read once in a process.
const program = "TEST_ACR_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(program) == "" {
		os.Exit(m.Run())
	}
	p, err := acr.New(clock.RealClock{}, acr.Options{})
	if err == nil {
		var token providers.Token
		token, err = p.Token(context.Background(), request(v1alpha1.ACR{Registry: host}, providers.Identity{}))
		fmt.Println(strings.Join(token.Hosts(), " "))
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// With no transport of a test's, the names are the real ones, Entra and the registry are behind the proxy, and the node's endpoint is not.
func TestAProgramFindsTheCloudByItsEnvironment(t *testing.T) {
	azure := startAzure(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	// 0.0.0.0 leads to the loopback interface; to Go it is an address like any other, for which the proxy counts, and to what guards the
	// way to registries it is as forbidden as the link-local one of the node's endpoint.
	endpoint := strings.Replace(azure.Env()[0], "127.0.0.1", "0.0.0.0", 1)
	cmd.Env = append(azure.Internet().Env(), program+"=1", "HTTP_PROXY=http://127.0.0.1:1", endpoint, azure.Env()[1])
	out, err := cmd.Output()
	if err != nil || strings.TrimSpace(string(out)) != host || len(azure.Tokens()) != 1 {
		t.Errorf("%v, %d tokens: %s", err, len(azure.Tokens()), out)
	}
	cmd = exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(azure.Internet().Env(), program+"=1", "IDENTITY_ENDPOINT=http://127.0.0.1:1", "IDENTITY_HEADER=x")
	if out, err := cmd.Output(); err == nil || !strings.Contains(string(out), "no Azure identity of its own") {
		t.Errorf("a node without an endpoint: %v, %s", err, out)
	}
}

func TestTheExchangeNamesTheTenantThatIsKnown(t *testing.T) {
	for name, c := range map[string]struct {
		spec     v1alpha1.ACR
		identity providers.Identity
		want     []string
	}{
		"ServiceAccount":                      {identity: serviceAccount(annotations, issuer, new([]string)), want: []string{cloud.AzureTenant}},
		"managed identity, by its own token":  {want: []string{cloud.AzureTenant}},
		"managed identity, told by the entry": {spec: v1alpha1.ACR{TenantID: cloud.AzureTenant}, want: []string{cloud.AzureTenant}},
	} {
		wire := &scripted{next: startAzure(t).Transport(), path: exchangePath, answer: with(http.StatusUnauthorized, "")}
		p, err := acr.New(clock.RealClock{}, acr.Options{Transport: wire})
		if err != nil {
			t.Fatal(err)
		}
		c.spec.Registry = host
		if _, err := p.Token(t.Context(), request(c.spec, c.identity)); reason(err) != v1alpha1.ReasonAccessDenied {
			t.Errorf("%s: %v", name, err)
		}
		sent := wire.asked[0]
		if strings.Join(sent["tenant"], " ") != strings.Join(c.want, " ") || sent.Get("service") != host || sent.Get("grant_type") != "access_token" {
			t.Errorf("%s: tenant %q, service %q, grant %q", name, sent["tenant"], sent.Get("service"), sent.Get("grant_type"))
		}
	}
}
