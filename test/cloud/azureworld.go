package cloud

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
)

// AzureApplication is an app registration in Entra, or a user-assigned managed identity that is used by federation alone.
type AzureApplication struct {
	ClientID string
	// Tenant defaults to AzureTenant, Authority to that of the public cloud.
	Tenant, Authority string
	Disabled          bool

	Secret      string
	Certificate *x509.Certificate
	Federated   []AzureFederatedCredential
}

// AzureFederatedCredential is whose tokens an application takes for its own.
type AzureFederatedCredential struct{ Issuer, Subject, Audience string }

// AzureManagedIdentity is one that is assigned to the node.
type AzureManagedIdentity struct {
	ClientID string
	// Tenant defaults to AzureTenant, Authority to that of the public cloud.
	Tenant, Authority string
	// System is whether it is the system-assigned one.
	System bool
	// ResourceID is its ID in Azure Resource Manager, if it has one.
	ResourceID string
}

// AzureRegistry is a registry. Its cloud is that of its suffix.
type AzureRegistry struct {
	// Host is the login server.
	Host string
	// Tenant defaults to AzureTenant.
	Tenant string
	// Regions have regional endpoints.
	Regions []string
	// ABAC is whether roles are for repositories ("RBAC Registry + ABAC Repository Permissions").
	ABAC bool
	// AllowARMTokens is azureADAuthenticationAsArmPolicy.
	AllowARMTokens bool
	// Firewall keeps everybody out.
	Firewall bool
}

// The roles that allow a pull (Azure built-in roles for containers).
const (
	AzureAcrPull          = "AcrPull"
	AzureRepositoryReader = "Container Registry Repository Reader"
)

// AzureRoleAssignment gives a role on a registry.
type AzureRoleAssignment struct {
	// Registry is the login server.
	Registry string
	// ClientID stands for the principal.
	ClientID string
	Role     string
	// Repositories is the condition of an assignment with ABAC; none for all.
	Repositories []string
}

// AddApplication adds an application or replaces the one with the same client ID.
func (a *Azure) AddApplication(app AzureApplication) {
	app.Tenant, app.Authority = cmp.Or(app.Tenant, AzureTenant), cmp.Or(app.Authority, AzureAuthority)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.applications[app.ClientID] = app
}

// AssignManagedIdentity assigns a managed identity to the node.
func (a *Azure) AssignManagedIdentity(id AzureManagedIdentity) {
	id.Tenant, id.Authority = cmp.Or(id.Tenant, AzureTenant), cmp.Or(id.Authority, AzureAuthority)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.managed = append(a.managed, id)
}

// AddRegistry adds a registry or replaces the one with the same host.
func (a *Azure) AddRegistry(r AzureRegistry) error {
	name, suffix, ok := strings.Cut(r.Host, ".")
	if name == "" || suffix == "" || !ok {
		return fmt.Errorf("%q is no login server", r.Host)
	}
	r.Tenant = cmp.Or(r.Tenant, AzureTenant)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.registries[r.Host] = r
	return nil
}

// SetTenantID gives a tenant that is named by its domain the ID that its tokens bear.
func (a *Azure) SetTenantID(domain, id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tenantIDs[domain] = id
}

// AssignRole gives a role.
func (a *Azure) AssignRole(r AzureRoleAssignment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.roles = append(a.roles, r)
}

// RemoveRoles takes every role on a registry from a principal.
func (a *Azure) RemoveRoles(registry, clientID string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.roles = slices.DeleteFunc(a.roles, func(r AzureRoleAssignment) bool { return r.Registry == registry && r.ClientID == clientID })
}

// SetManagedIdentityStatus makes the node's endpoint answer with an HTTP status until it is set to 0: 404 while it starts, 410 while
// it is updated ("How to use managed identities to acquire an access token", error handling).
func (a *Azure) SetManagedIdentityStatus(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.identityStatus = status
}

// registryAt finds a registry by its login server or a regional endpoint.
func (a *Azure) registryAt(host string) (AzureRegistry, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r, ok := a.registries[host]; ok {
		return r, true
	}
	// <name>.<region>.geo.<suffix>
	labels := strings.SplitN(host, ".", 4)
	if len(labels) < 4 || labels[2] != "geo" {
		return AzureRegistry{}, false
	}
	r, ok := a.registries[labels[0]+"."+labels[3]]
	return r, ok && slices.Contains(r.Regions, labels[1])
}

func (a *Azure) hasRole(registry AzureRegistry, clientID string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.roles, func(r AzureRoleAssignment) bool { return r.Registry == registry.Host && r.ClientID == clientID })
}

// mayPull knows that each kind of registry honours the role of its own kind only.
func (a *Azure) mayPull(registry AzureRegistry, clientID, repository string) bool {
	role := AzureAcrPull
	if registry.ABAC {
		role = AzureRepositoryReader
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.roles, func(r AzureRoleAssignment) bool {
		return r.Registry == registry.Host && r.ClientID == clientID && r.Role == role &&
			(len(r.Repositories) == 0 || slices.Contains(r.Repositories, repository))
	})
}

// tenantExists says whether anything is in the tenant, in the cloud of this authority.
func (a *Azure) tenantExists(authority, tenant string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, app := range a.applications {
		if app.Tenant == tenant && app.Authority == authority {
			return true
		}
	}
	for _, r := range a.registries {
		own := azureAuthorityOf(r.Host)
		if _, suffix, _ := strings.Cut(r.Host, "."); a.clouds[suffix].authority != "" {
			own = a.clouds[suffix].authority
		}
		if r.Tenant == tenant && own == authority {
			return true
		}
	}
	return false
}

func (a *Azure) application(authority, tenant, clientID string) (AzureApplication, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	app, ok := a.applications[clientID]
	return app, ok && app.Tenant == tenant && app.Authority == authority
}
