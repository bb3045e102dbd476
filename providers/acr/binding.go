package acr

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/outbound"
)

// The variables that AKS' webhook sets where a pod is to use an identity binding: the proxy on the API server that takes the place of
// Entra, its name in TLS and its authority (azidentity, internal/customtokenproxy).
const (
	envTokenProxy = "AZURE_KUBERNETES_TOKEN_PROXY"
	envProxyName  = "AZURE_KUBERNETES_SNI_NAME"
	envProxyCA    = "AZURE_KUBERNETES_CA_FILE"
)

// bindingAudience is what the proxy wants the token of a ServiceAccount to be for.
const bindingAudience = "api://AKSIdentityBinding"

// binding asks AKS for a token of Entra, as the kubelet's ACR credential provider does (cloud-provider-azure,
// pkg/credentialprovider/identity_bindings_credentials.go).
type binding struct {
	wire              *wire
	proxy             string
	client, assertion string
}

// bound is an application that AKS has bound to the cluster.
func (p *Provider) bound(id identity, client, token string) (identity, error) {
	proxy := os.Getenv(envTokenProxy)
	if _, err := authorityOf(proxy); err != nil {
		return identity{}, providers.Errorf(v1alpha1.ReasonInvalidRequest, "the controller knows of no identity bindings: label its pods azure.workload.identity/use: \"true\" "+
			"and annotate them azure.workload.identity/use-identity-binding: \"true\", so that AKS sets %s, or remove acr.identityBinding", envTokenProxy)
	}
	roots, err := proxyRoots()
	if err != nil {
		return identity{}, providers.Errorf(v1alpha1.ReasonInvalidRequest, "the file of %s in the controller holds no certificate: check how AKS' webhook has set up its pod", envProxyCA)
	}
	transport := outbound.Transport()
	// It is the API server, which is not behind a proxy.
	transport.Proxy = nil
	transport.DisableKeepAlives = true
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: os.Getenv(envProxyName), RootCAs: roots}
	id.wire, id.explain = &wire{client: outbound.Client(transport)}, explainBinding
	id.client = client
	id.credential = &binding{wire: id.wire, proxy: proxy, client: client, assertion: token}
	return id, nil
}

// proxyRoots are read for each call, as the file changes. Without a file the system's count.
func proxyRoots() (*x509.CertPool, error) {
	file := os.Getenv(envProxyCA)
	if file == "" {
		return nil, nil //nolint:nilnil // the system's
	}
	pem, err := os.ReadFile(file) //nolint:gosec // the path comes from the controller's environment, which comes from whoever runs it
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificates")
	}
	return roots, nil
}

// GetToken implements azcore.TokenCredential.
func (b *binding) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	form := url.Values{
		"grant_type": {"client_credentials"}, "scope": options.Scopes, "client_id": {b.client}, "client_assertion": {b.assertion},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.proxy, strings.NewReader(form.Encode()))
	if err != nil {
		return azcore.AccessToken{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := b.wire.Do(r)
	if err != nil {
		return azcore.AccessToken{}, err
	}
	defer res.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != http.StatusOK || answer.Token == "" {
		return azcore.AccessToken{}, cmp.Or(err, errors.New("no token"))
	}
	return azcore.AccessToken{Token: answer.Token}, nil // it is used at once
}

// explainBinding explains why AKS gave no token. Its proxy lets a ServiceAccount use an identity that RBAC allows it to use.
func explainBinding(a answer, id identity) *providers.Error {
	action := "getting a token of Entra by the identity binding of " + id.name
	if a.code == "" && (a.status == http.StatusUnauthorized || a.status == http.StatusForbidden) {
		return &providers.Error{Reason: v1alpha1.ReasonAccessDenied, RetryAfter: a.retryAfter, Err: fmt.Errorf("%s is refused (HTTP status %d): bind the identity to "+
			"this cluster, and allow the ServiceAccount the verb use-managed-identity on %s of cid.wi.aks.azure.com", action, a.status, id.client)}
	}
	if a.code != "" {
		return explainEntra(a, id)
	}
	return ownThrottle(a.explain(action, "check "+envTokenProxy))
}
