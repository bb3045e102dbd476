package acr

import (
	"cmp"
	"context"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/secretdata"
)

// The annotations of a ServiceAccount are those of Microsoft Entra Workload ID (https://github.com/Azure/azure-workload-identity);
// those for image pulls alone, which go first, are the kubelet's ACR credential provider's (https://github.com/kubernetes-sigs/cloud-provider-azure).
const (
	annotationPullClientID = "kubernetes.azure.com/acr-client-id"
	annotationPullTenantID = "kubernetes.azure.com/acr-tenant-id"
	annotationClientID     = "azure.workload.identity/client-id"
	annotationTenantID     = "azure.workload.identity/tenant-id"
)

// The variables of the controller are the SDK's; the first four are also the keys of a Secret.
const (
	envClientID           = "AZURE_CLIENT_ID"
	envTenantID           = "AZURE_TENANT_ID"
	keyClientSecret       = "AZURE_CLIENT_SECRET"
	keyClientCertificate  = "AZURE_CLIENT_CERTIFICATE"
	envFederatedTokenFile = "AZURE_FEDERATED_TOKEN_FILE"
	envAuthorityHost      = "AZURE_AUTHORITY_HOST"
)

// assertionLife is the shortest that Kubernetes grants: the token is used at once, and what Entra gives for it outlives it.
const assertionLife = 10 * time.Minute

// identity asks Entra for a token.
type identity struct {
	credential azcore.TokenCredential
	wire       *wire
	explain    func(answer, identity) *providers.Error
	// name is who it is, in words.
	name string
	// client is the ID of the application, where a message needs it.
	client string
	// tenant is empty if nobody has named it.
	tenant string
	// trust is what a federated credential must say, in words; empty for other identities.
	trust string
	// claims keep MSAL from its cache.
	claims string
}

func (p *Provider) identity(ctx context.Context, s site, spec *v1alpha1.ACR, id providers.Identity) (identity, error) {
	switch {
	case id.ServiceAccount != nil:
		return p.serviceAccount(ctx, s, spec, id.ServiceAccount)
	case id.Secret != nil:
		return p.servicePrincipal(ctx, s, spec, id.Secret)
	default:
		return p.ambient(s, spec)
	}
}

func (p *Provider) serviceAccount(ctx context.Context, s site, spec *v1alpha1.ACR, sa *providers.ServiceAccount) (identity, error) {
	client := cmp.Or(spec.ClientID, sa.Annotations[annotationPullClientID], sa.Annotations[annotationClientID])
	tenant := cmp.Or(spec.TenantID, sa.Annotations[annotationPullTenantID], sa.Annotations[annotationTenantID], os.Getenv(envTenantID))
	switch {
	case client == "":
		return identity{}, providers.Errorf(v1alpha1.ReasonIdentityInvalid,
			"%s has no client ID: annotate it with %s=<client ID>, or set acr.clientID", sa, annotationClientID)
	case tenant == "" && !spec.IdentityBinding:
		return identity{}, providers.Errorf(v1alpha1.ReasonIdentityInvalid,
			"%s has no tenant ID: annotate it with %s=<tenant ID>, or set acr.tenantID", sa, annotationTenantID)
	}
	if err := checkIDs(sa.String(), client, tenant); err != nil {
		return identity{}, err
	}
	audience := s.entra.audience
	if spec.IdentityBinding {
		audience = bindingAudience
	}
	token, err := sa.RequestToken(ctx, audience, assertionLife)
	if err != nil {
		return identity{}, err
	}
	if spec.IdentityBinding {
		return p.bound(identity{name: "application " + client + " for " + sa.String(), tenant: tenant}, client, token)
	}
	out := identity{
		name:  "application " + client + " for " + sa.String(),
		trust: "subject system:serviceaccount:" + sa.Namespace + ":" + sa.Name + " and audience " + s.entra.audience,
	}
	return p.federated(out, s, tenant, client, token)
}

func (p *Provider) servicePrincipal(ctx context.Context, s site, spec *v1alpha1.ACR, secret *providers.Secret) (identity, error) {
	data, err := secret.Data(ctx)
	if err != nil {
		return identity{}, err
	}
	values := map[string]string{}
	for _, key := range []string{envClientID, envTenantID, keyClientSecret} {
		if values[key], err = secretdata.Line(secret, data, key); err != nil {
			return identity{}, err
		}
	}
	certificate, err := secretdata.Document(secret, data, keyClientCertificate)
	if err != nil {
		return identity{}, err
	}
	client := cmp.Or(spec.ClientID, values[envClientID])
	tenant := cmp.Or(spec.TenantID, values[envTenantID], os.Getenv(envTenantID))
	for _, need := range []struct{ value, key, field string }{{client, envClientID, "acr.clientID"}, {tenant, envTenantID, "acr.tenantID"}} {
		if need.value == "" {
			return identity{}, providers.Errorf(v1alpha1.ReasonIdentityInvalid, "%s lacks the key %s: add it, or set %s", secret, need.key, need.field)
		}
	}
	if err := checkIDs(secret.String(), client, tenant); err != nil {
		return identity{}, err
	}
	out := identity{wire: p.wire(), explain: explainEntra, tenant: tenant, name: "application " + client + " of " + secret.String()}
	// Without instance discovery: the authority is one of ours or the administrator's, not one that a user names.
	switch options := out.wire.options(s.entra.authority); {
	case values[keyClientSecret] != "":
		out.credential, err = azidentity.NewClientSecretCredential(tenant, client, values[keyClientSecret],
			&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
	case len(certificate) > 0:
		if err := secretdata.CheckKeys(secret, keyClientCertificate, certificate); err != nil {
			return identity{}, err
		}
		certificates, key, failed := azidentity.ParseCertificates(certificate, nil)
		if failed != nil {
			return identity{}, badCertificate(secret)
		}
		if out.credential, err = azidentity.NewClientCertificateCredential(tenant, client, certificates, key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true}); err != nil {
			return identity{}, badCertificate(secret)
		}
	default:
		return identity{}, providers.Errorf(v1alpha1.ReasonIdentityInvalid, "%s has neither %s nor %s: add one of them",
			secret, keyClientSecret, keyClientCertificate)
	}
	return out, unusable(out, err)
}

// ambient is the workload identity of the controller's ServiceAccount if its webhook has set that up, and else the managed identity
// of the node or of whatever else the controller runs on.
func (p *Provider) ambient(s site, spec *v1alpha1.ACR) (identity, error) {
	client := cmp.Or(spec.ClientID, os.Getenv(envClientID))
	tenant := cmp.Or(spec.TenantID, os.Getenv(envTenantID))
	if file := os.Getenv(envFederatedTokenFile); file != "" && spec.ManagedIdentity == "" {
		token, err := os.ReadFile(file) //nolint:gosec // the path comes from the controller's environment, which comes from whoever runs it
		if err != nil || client == "" || tenant == "" {
			return identity{}, providers.Errorf(v1alpha1.ReasonIdentityInvalid, "the workload identity of the controller is incomplete: "+
				"it needs %s with a readable file, %s and %s; annotate the controller's ServiceAccount and restart the Deployment",
				envFederatedTokenFile, envClientID, envTenantID)
		}
		if err := checkIDs("the environment of the controller", client, tenant); err != nil {
			return identity{}, err
		}
		out := identity{
			name:  "application " + client + ", the controller's own identity",
			trust: "the controller's ServiceAccount as subject and audience " + s.entra.audience,
		}
		if os.Getenv(envTokenProxy) != "" {
			out.tenant = tenant
			return p.bound(out, client, string(token))
		}
		return p.federated(out, s, tenant, client, string(token))
	}
	return p.managed(spec.ManagedIdentity, client, tenant)
}

// managed is a managed identity of the node: the one that the entry names by its resource ID or client ID, or that of the client ID, or
// the node's own.
func (p *Provider) managed(named, client, tenant string) (identity, error) {
	out := identity{
		wire: &wire{client: p.local}, explain: explainManagedIdentity, tenant: tenant, claims: "{}",
		name: "the managed identity of the controller's node",
	}
	options := azidentity.ManagedIdentityCredentialOptions{ClientOptions: out.wire.options("")}
	if clientID.MatchString(named) {
		client = named
	}
	switch {
	case named != client && named != "":
		if !resourceID().MatchString(named) {
			return identity{}, providers.Errorf(v1alpha1.ReasonInvalidRequest, "acr.managedIdentity is neither the client ID nor the resource ID of a managed identity: correct it")
		}
		options.ID = azidentity.ResourceID(named)
		out.name = "the managed identity " + named[strings.LastIndexByte(named, '/')+1:]
	case client != "":
		if err := checkIDs("the environment of the controller", client, tenant); err != nil {
			return identity{}, err
		}
		options.ID = azidentity.ClientID(client)
		out.name = "the managed identity " + client
	}
	credential, err := azidentity.NewManagedIdentityCredential(&options)
	if err != nil {
		return identity{}, providers.Errorf(v1alpha1.ReasonInvalidRequest, "the managed identity cannot be used as the controller's environment says: "+
			"check IDENTITY_ENDPOINT, MSI_ENDPOINT and acr.clientID")
	}
	out.credential = credential
	return out, nil
}

// federated is an application that trusts the issuer of the token.
func (p *Provider) federated(id identity, s site, tenant, client, token string) (identity, error) {
	id.wire, id.explain, id.tenant = p.wire(), explainEntra, tenant
	assertion := func(context.Context) (string, error) { return token, nil }
	var err error
	id.credential, err = azidentity.NewClientAssertionCredential(tenant, client, assertion, &azidentity.ClientAssertionCredentialOptions{
		ClientOptions: id.wire.options(s.entra.authority), DisableInstanceDiscovery: true})
	return id, unusable(id, err)
}

// resourceID is that of a user-assigned managed identity in Azure Resource Manager.
var resourceID = sync.OnceValue(func() *regexp.Regexp { // most clusters need none, and it takes a third of a megabyte
	return regexp.MustCompile(`^/subscriptions/[0-9a-fA-F-]{36}/resource[gG]roups/[a-zA-Z0-9._()-]{1,90}/providers/Microsoft\.ManagedIdentity/userAssignedIdentities/[a-zA-Z0-9_-]{3,128}$`)
})

var (
	clientID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	// tenantID is a UUID or a domain of the tenant.
	tenantID = regexp.MustCompile(`^[0-9a-zA-Z]([0-9a-zA-Z.-]{0,126}[0-9a-zA-Z])?$`)
)

// checkIDs refuses what would become a part of a URL, and of a message, without being an ID.
func checkIDs(holder, client, tenant string) error {
	if !clientID.MatchString(client) {
		return providers.Errorf(v1alpha1.ReasonIdentityInvalid, "the client ID of %s is not a UUID: correct it", holder)
	}
	if tenant != "" && !tenantID.MatchString(tenant) {
		return providers.Errorf(v1alpha1.ReasonIdentityInvalid, "the tenant ID of %s is neither a UUID nor a domain: correct it", holder)
	}
	return nil
}
