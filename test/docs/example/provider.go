// Package example is the provider of docs/provider-howto.md, for a registry that does not exist: Quayside exchanges the token of a
// ServiceAccount at POST /token.
package example

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// Provider mints tokens of Quayside.
type Provider struct {
	// Client is the HTTP client; it follows no redirect.
	Client *http.Client
	// Host is the registry. A real provider takes it from its member of the union in api/v1alpha1.
	Host string
}

// patience bounds a call. The Broker would end it as well, but later.
const patience = 10 * time.Second

// Token implements providers.Provider.
func (p Provider) Token(ctx context.Context, req providers.Request) (providers.Token, error) {
	account := req.Identity.ServiceAccount
	if account == nil {
		return providers.Token{}, terminal(v1alpha1.ReasonInvalidRequest, "quayside needs identity.serviceAccountRef")
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	const lifetime = 10 * time.Minute
	subject, err := account.RequestToken(ctx, "https://"+p.Host, lifetime)
	if err != nil {
		return providers.Token{}, err // of type *providers.Error already
	}
	return p.exchange(ctx, account.String(), subject)
}

func terminal(reason, text string) error {
	err := providers.Errorf(reason, "%s", text)
	err.Terminal = true
	return err
}

func (p Provider) exchange(ctx context.Context, who, subject string) (providers.Token, error) {
	form := strings.NewReader(url.Values{"subject_token": {subject}}.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+p.Host+"/token", form)
	if err != nil {
		return providers.Token{}, providers.Errorf(v1alpha1.ReasonInvalidRequest, "%s is no host", p.Host)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	now := time.Now()
	res, err := p.Client.Do(req)
	if err != nil {
		return providers.Token{}, &providers.Error{
			Reason: v1alpha1.ReasonUnavailable, Scope: providers.ScopeEndpoint, Err: providers.Errorf("", "%s did not answer", p.Host),
		}
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return providers.Token{}, p.refusal(res.StatusCode, who)
	}
	return p.read(res, now)
}

// refusal says whose fault it is. The body is not shown: it may hold anything.
func (p Provider) refusal(status int, who string) error {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return providers.Errorf(v1alpha1.ReasonAccessDenied, "%s does not take the token of %s: add it to the trusted subjects there", p.Host, who)
	case status >= http.StatusInternalServerError:
		return &providers.Error{
			Reason: v1alpha1.ReasonUnavailable, Scope: providers.ScopeEndpoint, Err: providers.Errorf("", "%s failed with HTTP status %d", p.Host, status),
		}
	}
	return providers.Errorf(v1alpha1.ReasonInvalidRequest, "%s answers HTTP status %d", p.Host, status)
}

func (p Provider) read(res *http.Response, now time.Time) (providers.Token, error) {
	const most = 64 << 10
	var answer struct {
		Token     providers.Sensitive `json:"token"`
		ExpiresIn int                 `json:"expires_in"`
	}
	err := json.NewDecoder(http.MaxBytesReader(nil, res.Body, most)).Decode(&answer)
	if err != nil || answer.Token == "" || answer.ExpiresIn <= 0 {
		return providers.Token{}, providers.Errorf(v1alpha1.ReasonInvalidResponse, "%s answers what is no token", p.Host)
	}
	return providers.Token{
		Logins:    []providers.Login{{Username: "oauth2", Password: answer.Token, Hosts: []string{p.Host}}},
		IssuedAt:  now,
		ExpiresAt: now.Add(time.Duration(answer.ExpiresIn) * time.Second),
	}, nil
}

// Endpoint implements providers.Endpointer.
func (p Provider) Endpoint(providers.Request) string { return p.Host }

// Cure implements providers.Curer.
func (p Provider) Cure() string { return "add the ServiceAccount to the readers of the repository" }
