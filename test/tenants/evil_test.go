package tenants

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

const (
	// evil is a host of the tenant's choice, with a certificate that everybody trusts.
	evil = "evil.example"
	// tarpit is a host that takes connections and says nothing.
	tarpit = "tarpit.example"
)

// sent is what has come to the tenant's host.
var sent struct {
	mu       sync.Mutex
	requests []string
}

// openHosts puts the tenant's hosts on the Internet.
func openHosts(ctx context.Context) (stop func(), err error) {
	host, err := cloud.StartJFrog(cloud.JFrogOptions{Internet: world.Internet, Host: evil})
	if err != nil {
		return nil, err
	}
	host.PutInFront(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent.mu.Lock()
		defer sent.mu.Unlock()
		sent.requests = append(sent.requests, r.Method+" "+r.URL.Path)
		http.Error(w, "no", http.StatusForbidden)
	}))
	silent, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	var open sync.WaitGroup
	open.Go(func() {
		var held []net.Conn
		for {
			c, err := silent.Accept()
			if err != nil {
				break
			}
			held = append(held, c)
		}
		for _, c := range held {
			_ = c.Close()
		}
	})
	world.Internet.Route(func(name string) (string, bool) { return silent.Addr().String(), name == tarpit })
	return func() {
		_, _ = silent.Close(), host.Close()
		open.Wait()
	}, nil
}

func (u *tenant) nothingSent() {
	u.Helper()
	sent.mu.Lock()
	defer sent.mu.Unlock()
	if len(sent.requests) > 0 {
		u.Errorf("%s got %q", evil, sent.requests)
	}
	sent.requests = nil
}

// sendTokenFor asks for a token with an audience that is worth something elsewhere.
func sendTokenFor(audience string) func(*tenant) {
	return func(u *tenant) {
		c := u.credential("stolen", v1alpha1.Registry{
			Name:        "jfrog",
			Artifactory: &v1alpha1.Artifactory{URL: "https://" + evil, ProviderName: "any", Audience: audience}, Identity: accountRef("default"),
		})
		u.refusable(c, "audience")
	}
}

func notForThisHost(u *tenant) {
	u.Helper()
	if err := u.edit.Get(u.Context(), u.key("stolen"), &v1alpha1.RegistryCredential{}); err == nil {
		u.ready("stolen", v1alpha1.ReasonIdentityInvalid, v1alpha1.ReasonInvalidRequest, v1alpha1.ReasonAccessDenied, v1alpha1.ReasonInternal)
	}
	u.nothingSent()
}

// roleFor makes a ServiceAccount that may assume a role of its own.
func (u *tenant) roleFor(account string) {
	u.Helper()
	issuer, err := world.Issuer(u.Context())
	u.must(err)
	arn := fmt.Sprintf("arn:aws:iam::%s:role/%s", cloud.DefaultAccount, u.ns)
	u.must(world.AWS.AddRole(cloud.Role{
		ARN: arn, MayGetToken: true, Pull: []string{"*"},
		WebIdentity: &cloud.WebIdentity{Issuer: issuer, Subject: "system:serviceaccount:" + u.ns + ":" + account, Audience: "sts.amazonaws.com"},
	}))
	sa := u.account(account)
	sa.Annotations = map[string]string{"eks.amazonaws.com/role-arn": arn}
	u.create(sa)
}

// minted is how many tokens have been issued to anybody of the tenant's name.
func (u *tenant) minted() int { return mints(u.user) + mintsOfRole(u.ns) }
