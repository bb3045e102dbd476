package providertest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// said is what a provider says of itself.
func (c Contract) said(t *testing.T) {
	p, _ := c.New(t)
	curer, ok := p.(providers.Curer)
	if !ok {
		t.Fatal("the provider does not say how a pull is allowed")
	}
	if cure := curer.Cure(); cure == "" || len(cure) > 250 || strings.HasSuffix(cure, ".") || strings.ToLower(cure[:1]) != cure[:1] {
		t.Errorf("%q is not a readable imperative without a full stop", cure)
	}
	if c.Offline {
		return
	}
	endpointer, ok := p.(providers.Endpointer)
	if !ok {
		t.Fatal("the provider does not say where its calls go")
	}
	if got := endpointer.Endpoint(c.Request); !strings.Contains(got, c.Host) || c.Host == "" {
		t.Errorf("the endpoint is %q, which does not name the host %q that is called", got, c.Host)
	}
}

// kubernetesFails proves that a failure of this cluster's API server is nobody else's: it passes through, and no cloud is asked.
func (c Contract) kubernetesFails(t *testing.T) {
	failure := &providers.Error{Reason: v1alpha1.ReasonUnavailable, Scope: providers.ScopeKubernetes, Err: errors.New("the API server returned an error or did not answer")}
	req := c.asServiceAccount()
	switch {
	case req.Identity.ServiceAccount != nil:
		sa := *req.Identity.ServiceAccount
		sa.RequestToken = func(context.Context, string, time.Duration) (string, error) { return "", failure }
		req.Identity.ServiceAccount = &sa
	case req.Identity.Secret != nil:
		secret := *req.Identity.Secret
		secret.Data = func(context.Context) (map[string][]byte, error) { return nil, failure }
		req.Identity.Secret = &secret
	default:
		return
	}
	p, cloud := c.New(t)
	_, err := p.Token(t.Context(), req)
	if got, ok := errors.AsType[*providers.Error](err); !ok || got.Scope != providers.ScopeKubernetes {
		t.Errorf("got %v, want the failure of Kubernetes as it is", err)
	}
	if !c.Offline && cloud.Calls() != 0 {
		t.Errorf("the cloud was called %d times", cloud.Calls())
	}
}

func (c Contract) asServiceAccount() providers.Request {
	if c.AsServiceAccount.Identity.ServiceAccount != nil {
		return c.AsServiceAccount
	}
	return c.Request
}

// annotations proves that a provider declares the annotations that it reads: those alone suffice, and no other changes what is asked for.
func (c Contract) annotations(t *testing.T) {
	req := c.asServiceAccount()
	if req.Identity.ServiceAccount == nil {
		return
	}
	var declared []string
	p, _ := c.New(t)
	if annotated, ok := p.(providers.Annotated); ok {
		declared = annotated.Annotations()
	}
	only := maps.Clone(req.Identity.ServiceAccount.Annotations)
	maps.DeleteFunc(only, func(key, _ string) bool { return !slices.Contains(declared, key) })
	foreign := map[string]string{"argocd.argoproj.io/tracking-id": "a", "meta.helm.sh/release-name": "b", "example.com/audience": "sts.amazonaws.com"}
	for key := range req.Identity.ServiceAccount.Annotations {
		foreign["example.com/"+strings.ReplaceAll(key, "/", ".")] = "c"
	}
	maps.Copy(foreign, only)
	if len(foreign) == len(only) {
		t.Fatal("no annotation is foreign")
	}
	want := c.audiencesOf(t, only)
	if got := c.audiencesOf(t, foreign); !slices.Equal(got, want) {
		t.Errorf("foreign annotations changed the audiences from %v to %v", want, got)
	}
}

// audiences proves that a provider asks only for audiences that it declares, or for that of its destination.
func (c Contract) audiences(t *testing.T) {
	req := c.asServiceAccount()
	if req.Identity.ServiceAccount == nil {
		return
	}
	var declared []string
	p, _ := c.New(t)
	if lister, ok := p.(providers.AudienceLister); ok {
		declared = lister.Audiences()
	}
	for _, e := range declared {
		if !strings.HasPrefix(e, "^") || !strings.HasSuffix(e, "$") {
			t.Errorf("the expression %s is not anchored", e)
		}
	}
	for _, audience := range c.audiencesOf(t, req.Identity.ServiceAccount.Annotations) {
		matches := func(e string) bool { return regexp.MustCompile(e).MatchString(audience) }
		if audience != c.Audience && !slices.ContainsFunc(declared, matches) {
			t.Errorf("a token for %s was asked for, which belongs to another destination", audience)
		}
	}
}

// audiencesOf are those that a successful call asks for.
func (c Contract) audiencesOf(t *testing.T, annotations map[string]string) []string {
	t.Helper()
	req := c.asServiceAccount()
	sa := *req.Identity.ServiceAccount
	sa.Annotations = annotations
	var asked []string
	request := sa.RequestToken
	sa.RequestToken = func(ctx context.Context, audience string, lifetime time.Duration) (string, error) {
		asked = append(asked, audience)
		return request(ctx, audience, lifetime)
	}
	req.Identity.ServiceAccount = &sa
	p, _ := c.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := p.Token(ctx, req); err != nil {
		t.Errorf("with the annotations %v: %v", slices.Sorted(maps.Keys(annotations)), err)
	}
	if len(asked) == 0 {
		t.Error("no token of the ServiceAccount was asked for")
	}
	return asked
}

// scope is whose fault an outage is.
func (c Contract) scope(fault Fault) providers.Scope {
	switch {
	case fault == Denied, c.Opaque, fault == Throttled && c.OwnQuota:
		return providers.ScopeRequest
	default:
		return providers.ScopeEndpoint
	}
}

func nameOf(s providers.Scope) string {
	return map[providers.Scope]string{
		providers.ScopeRequest: "the request's", providers.ScopeEndpoint: "the endpoint's", providers.ScopeKubernetes: "Kubernetes'",
	}[s]
}

func dockerConfig(t *testing.T, host string, token providers.Token) []byte {
	t.Helper()
	var login providers.Login
	for _, l := range token.Logins {
		if slices.Contains(l.Hosts, host) {
			login = l
		}
	}
	auth := base64.StdEncoding.EncodeToString([]byte(login.Username + ":" + login.Password.Reveal()))
	raw, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"auth": auth}}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
