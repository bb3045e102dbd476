package artifactory_test

import (
	"context"
	"testing"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/providertest"
	"github.com/regcred/regcred/test/cloud"
)

var everyForm = []v1alpha1.Host{"acme.jfrog.io", "acme-docker-local.jfrog.io", "acme.jfrog.io:5001"}

// The registry asks for Basic authentication, or leads to its token endpoint.
func TestContractOfTheExchange(t *testing.T) {
	for challenge, bearer := range map[string]bool{"Basic": false, "Bearer": true} {
		t.Run(challenge, func(t *testing.T) { contractOfTheExchange(t, bearer) })
	}
}

func contractOfTheExchange(t *testing.T, bearer bool) {
	t.Helper()
	providertest.Contract{
		New: func(t *testing.T) (providers.Provider, providertest.Cloud) {
			t.Helper()
			jfrog := startJFrog(t, cloud.JFrogOptions{BearerChallenge: bearer})
			return newProvider(t, jfrog.Transport()), emulator{
				JFrog: jfrog, action: cloud.ActionJFrogExchangeToken,
				deny: func() { jfrog.AddProvider(cloud.JFrogProvider{Name: "cluster", Issuer: issuer, Audience: jfrog.URL()}) },
			}
		},
		Request:  request(v1alpha1.Artifactory{URL: "https://acme.jfrog.io", Hosts: everyForm, ProviderName: "cluster"}, serviceAccount(t, nil)),
		Host:     "acme.jfrog.io",
		OwnQuota: true,
		Pages:    []string{"artifactory.md"},
		Audience: "https://acme.jfrog.io",
		Canary:   cloud.Canary,
	}.Run(t)
}

func TestContractOfAnAdministratorsToken(t *testing.T) {
	var admin cloud.JFrogToken
	var password string
	providertest.Contract{
		New: func(t *testing.T) (providers.Provider, providertest.Cloud) {
			t.Helper()
			jfrog := startJFrog(t, cloud.JFrogOptions{})
			password, admin = jfrog.CreateToken("admin", time.Hour)
			return newProvider(t, jfrog.Transport()), emulator{
				JFrog: jfrog, action: cloud.ActionJFrogCreateToken,
				deny: func() { jfrog.Revoke(admin.ID) },
			}
		},
		Request:  request(v1alpha1.Artifactory{URL: "https://acme.jfrog.io", Hosts: everyForm, Username: "puller"}, secret(&password)),
		Host:     "acme.jfrog.io",
		OwnQuota: true,
		Pages:    []string{"artifactory.md"},
		Canary:   cloud.Canary,
	}.Run(t)
}

type emulator struct {
	*cloud.JFrog
	action string
	deny   func()
}

func (e emulator) Break(fault providertest.Fault, retryAfter time.Duration) {
	switch fault {
	case providertest.Throttled:
		e.Access.Set(cloud.Fault{Throttle: -1, RetryAfter: retryAfter})
	case providertest.ServerError:
		e.Access.Set(cloud.Fault{Outage: cloud.OutageServerError})
	case providertest.Closed:
		e.Access.Set(cloud.Fault{Outage: cloud.OutageClosed})
	case providertest.Hung:
		e.Access.Set(cloud.Fault{Outage: cloud.OutageHang})
	case providertest.Denied:
		e.deny()
	}
}

func (e emulator) Calls() int { return e.JFrog.Calls().Of(e.action) }

func (e emulator) Pull(ctx context.Context, host string, dockerConfigJSON []byte) error {
	image := "docker-local/app"
	if host != "acme.jfrog.io" {
		image = "app"
	}
	if _, err := e.SeedImage(host, image, "v1"); err != nil {
		return err
	}
	_, err := cloud.Pull(ctx, e.Transport(), dockerConfigJSON, host+"/"+image+":v1")
	return err
}
