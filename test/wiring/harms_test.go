package wiring

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

// harm is something that is done to all clouds at once.
type harm struct {
	name     string
	do, undo func(*testing.T)
	// reasons are why entries fail, as the status says; the others get new tokens all the same.
	reasons map[string]string
	// spares is whether the tokens in use stay good.
	spares bool
	// unproven is whether new tokens cannot be tried.
	unproven bool
}

// outages make parts of every cloud fail.
func (e *everyProvider) outages() []harm {
	// What comes before the token of a registry: the proof of who asks.
	identity := []*cloud.Faults{world.AWS.STS, world.Google.STS, world.Google.OAuth2, world.Azure.Entra, world.Azure.Discovery, pluginCloud.STS}
	// The token itself.
	token := []*cloud.Faults{world.AWS.ECR, world.AWS.ECRPublic, world.Google.IAMCredentials, world.Azure.Exchange, world.JFrog.Access, pluginCloud.ECR}
	// The registries, where new tokens are tried.
	registry := []*cloud.Faults{world.AWS.Registry, world.AWS.PublicRegistry, world.Google.Registry, world.Google.ArtifactRegistry,
		world.Azure.Registry, world.JFrog.Registry,
		world.DockerHub.Auth, world.DockerHub.Registry, pluginCloud.Registry}
	var harms []harm
	for _, f := range []struct {
		name, reason string
		fault        cloud.Fault
	}{
		{"throttled", v1alpha1.ReasonThrottled, cloud.Fault{Throttle: -1}},
		{"server error", v1alpha1.ReasonUnavailable, cloud.Fault{Outage: cloud.OutageServerError}},
		{"closed", v1alpha1.ReasonUnavailable, cloud.Fault{Outage: cloud.OutageClosed}},
	} {
		failing := func(entries ...string) map[string]string {
			reasons := map[string]string{}
			for _, entry := range entries {
				reasons[entry] = f.reason
			}
			for _, plugin := range []string{kubeletECR, kubeletTenant} {
				if reasons[plugin] != "" {
					reasons[plugin] = v1alpha1.ReasonUnavailable // a plugin does not say why it has failed
				}
			}
			return reasons
		}
		harms = append(harms,
			faulty("identities "+f.name, identity, f.fault, true, failing(ecr, google, googleKey, azure, azureSecret, kubeletTenant)),
			faulty("tokens "+f.name, token, f.fault, true, failing(ecr, ecrPublic, google, azure, azureSecret, jfrog, jfrogAdmin, kubeletECR, kubeletTenant)),
			unproven(faulty("registries "+f.name, registry, f.fault, false, map[string]string{})))
	}
	return harms
}

func faulty(name string, services []*cloud.Faults, fault cloud.Fault, spares bool, reasons map[string]string) harm {
	set := func(fault cloud.Fault) func(*testing.T) {
		return func(*testing.T) {
			for _, faults := range services {
				faults.Set(fault)
			}
		}
	}
	return harm{name: name, do: set(fault), undo: set(cloud.Fault{}), spares: spares, reasons: reasons}
}

func unproven(h harm) harm {
	h.unproven = true
	return h
}

// refusals are what the clouds and Kubernetes say no to.
func (e *everyProvider) refusals() []harm {
	const denied, refused, invalid, gone = v1alpha1.ReasonAccessDenied, v1alpha1.ReasonVerificationFailed, v1alpha1.ReasonIdentityInvalid, v1alpha1.ReasonIdentityNotFound
	return []harm{
		{name: "permissions denied", do: e.denyTokens, undo: e.mend, reasons: map[string]string{
			ecr: denied, ecrPublic: denied, google: denied, googleKey: denied, azure: denied, azureSecret: denied, jfrog: denied, jfrogAdmin: denied,
			kubeletECR: v1alpha1.ReasonUnavailable, kubeletTenant: v1alpha1.ReasonUnavailable,
		}},
		// The public registry of ECR lets every token pull. Google's own check of permissions speaks first where it is asked for.
		{name: "pulls refused", do: e.denyPulls, undo: e.mend, reasons: map[string]string{
			ecr: refused, google: denied, googleKey: refused, azure: refused, azureSecret: refused, jfrog: refused, jfrogAdmin: refused,
			dockerConfig: refused, hub: refused,
		}},
		{name: "identities revoked", do: e.revokeIdentities, undo: e.mend, reasons: map[string]string{
			ecr: denied, ecrPublic: denied, google: denied, googleKey: denied, azure: denied, azureSecret: denied, jfrog: denied, jfrogAdmin: denied,
			dockerConfig: refused, hub: refused, kubeletECR: v1alpha1.ReasonUnavailable, kubeletTenant: v1alpha1.ReasonUnavailable,
		}},
		{name: "Secrets broken", do: e.breakSources, undo: e.mend, reasons: map[string]string{
			ecrPublic: denied, googleKey: invalid, azureSecret: invalid, jfrogAdmin: invalid, dockerConfig: invalid, hub: invalid,
		}, spares: true},
		{name: "ServiceAccount gone", do: e.deleteAccount, undo: e.mend, reasons: map[string]string{
			ecr: gone, google: gone, azure: gone, jfrog: gone, kubeletTenant: gone,
		}, spares: true},
	}
}

// mend makes everything what it was, with new credentials in the Secrets.
func (e *everyProvider) mend(t *testing.T) {
	t.Helper()
	e.mendAWS(t)
	e.mendGoogle()
	e.mendAzure(cloud.AzureAcrPull)
	e.mendJFrog()
	for entry, data := range map[string]map[string]string{
		ecrPublic: {"AWS_ACCESS_KEY_ID": e.user.AccessKeyID, "AWS_SECRET_ACCESS_KEY": e.user.SecretAccessKey},
		googleKey: e.newGoogleKey(t), azureSecret: e.azureKeys(), jfrogAdmin: e.newAdminToken(), dockerConfig: e.newDockerConfig(), hub: e.newHubUser("acme/*"),
	} {
		e.setSource(t, entry, data)
	}
	if e.account.ResourceVersion == "" {
		create(t, e.account)
	}
}

func (e *everyProvider) denyTokens(t *testing.T) {
	t.Helper()
	for _, err := range []error{
		world.AWS.SetPermissions(e.role.ARN, false, e.role.Pull...), world.AWS.SetECRPublicPermissions(e.user.ARN(), cloud.ECRPublicPermissions{}),
		pluginCloud.SetPermissions(e.tenantRole.ARN, false), pluginCloud.SetPermissions(pluginUser.ARN(), false),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	world.Google.AddServiceAccount(cloud.GoogleServiceAccount{Email: e.googleAccount.Email})
	world.Google.AddServiceAccount(cloud.GoogleServiceAccount{Email: e.keyAccount.Email, Disabled: true})
	e.mendAzure("")
	provider := e.jfrogProvider
	provider.Mappings = nil
	world.JFrog.AddProvider(provider)
	world.JFrog.AddUser(cloud.JFrogUser{Name: e.jfrogAdminUser})
}

func (e *everyProvider) denyPulls(t *testing.T) {
	t.Helper()
	for _, err := range []error{
		world.AWS.SetPermissions(e.role.ARN, true), pluginCloud.SetPermissions(e.tenantRole.ARN, true), pluginCloud.SetPermissions(pluginUser.ARN(), true),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	world.Google.SetPull(cloud.GoogleMember(e.googleAccount.Email))
	world.Google.SetPull(cloud.GoogleMember(e.keyAccount.Email))
	e.mendAzure(cloud.AzureRepositoryReader)
	world.JFrog.SetReadable(e.jfrogGroup)
	e.setSource(t, hub, e.newHubUser())
}

func (e *everyProvider) revokeIdentities(*testing.T) {
	world.AWS.Remove(e.role.ARN)
	world.AWS.Remove(e.user.ARN())
	pluginCloud.Remove(e.tenantRole.ARN)
	pluginCloud.Remove(pluginUser.ARN())
	pool := e.googlePool
	pool.Subjects = []string{"nobody"}
	world.Google.AddIdentityProvider(pool)
	world.Google.DeleteKeys(e.keyAccount.Email)
	disabled, rotated := e.application, e.application2
	disabled.Disabled, rotated.Secret = true, cloud.CanaryEntra+"rotated"
	world.Azure.AddApplication(disabled)
	world.Azure.AddApplication(rotated)
	provider := e.jfrogProvider
	provider.Issuer = "https://another.example"
	world.JFrog.AddProvider(provider)
	world.JFrog.Revoke(e.jfrogAdminToken.ID)
	world.JFrog.Revoke(e.remoteUser.ID)
	world.DockerHub.RemoveUser(e.name)
}

// breakSources puts secrets where none belong, as people do.
func (e *everyProvider) breakSources(t *testing.T) {
	t.Helper()
	const secret = cloud.Canary + "misplaced"
	for entry, data := range map[string]map[string]string{
		ecrPublic:    {"AWS_ACCESS_KEY_ID": secret, "AWS_SECRET_ACCESS_KEY": secret},
		googleKey:    {"credentials.json": `{"type":"service_account","client_email":"` + secret + `","private_key":"` + secret + `","private_key_id":"` + secret + `"}`},
		azureSecret:  {"AZURE_CLIENT_ID": secret, "AZURE_TENANT_ID": secret},
		jfrogAdmin:   {"token": secret + " " + secret},
		dockerConfig: {corev1.DockerConfigJsonKey: `{"auths":{"https://` + secret + `/":{"auth":"` + secret + `"},"x":` + secret},
		hub:          {"username": "user:" + secret, "password": secret},
	} {
		e.setSource(t, entry, data)
	}
}

func (e *everyProvider) deleteAccount(t *testing.T) {
	t.Helper()
	if err := world.Client.Delete(t.Context(), e.account); err != nil {
		t.Fatal(err)
	}
	e.account = &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: e.account.Namespace, Name: e.account.Name, Annotations: e.account.Annotations}}
}
