package wiring

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/plugins"
)

func (e *everyProvider) prepareAWS(t *testing.T, issuer string) {
	t.Helper()
	const host, tenantHost, pluginHost = "123456789012.dkr.ecr.eu-west-1.amazonaws.com", "123456789012.dkr.ecr.us-west-1.amazonaws.com",
		"123456789012.dkr.ecr.us-east-1.amazonaws.com"
	trust := &cloud.WebIdentity{Issuer: issuer, Subject: e.subject(), Audience: "sts.amazonaws.com"}
	e.role = cloud.Role{ARN: "arn:aws:iam::123456789012:role/" + e.name, WebIdentity: trust, MayGetToken: true, Pull: []string{"123456789012/team/*"}}
	e.tenantRole = e.role
	e.account.Annotations["eks.amazonaws.com/role-arn"], e.account.Annotations[tenantsAnnotation] = e.role.ARN, e.tenantRole.ARN
	e.user = cloud.User{Account: cloud.DefaultAccount, Name: e.name, AccessKeyID: "AKIA" + e.number, SecretAccessKey: cloud.CanarySTS + e.name,
		Public: cloud.ECRPublicPermissions{MayGetToken: true, MayGetServiceBearerToken: true}}
	e.mendAWS(t)
	e.add(ecr, v1alpha1.Registry{ECR: &v1alpha1.ECR{Region: "eu-west-1"}, Identity: e.byServiceAccount()}, "team/app", host)
	keys := map[string]string{"AWS_ACCESS_KEY_ID": e.user.AccessKeyID, "AWS_SECRET_ACCESS_KEY": e.user.SecretAccessKey}
	e.add(ecrPublic, v1alpha1.Registry{ECRPublic: &v1alpha1.ECRPublic{}, Identity: e.bySecret(t, ecrPublic, keys)}, "team/app", "public.ecr.aws")
	// The plugin's identity is everybody's; an image of its own makes the token this credential's own.
	e.add(kubeletECR, v1alpha1.Registry{Plugin: &v1alpha1.Plugin{Name: plugins.ECR, Image: pluginHost + "/" + e.name + "/app"}}, e.name+"/app", pluginHost)
	e.add(kubeletTenant, v1alpha1.Registry{Plugin: &v1alpha1.Plugin{Name: tenantsPlugin, Image: tenantHost + "/team/app"}, Identity: e.byServiceAccount()},
		"team/app", tenantHost)
	for host, aws := range map[string]*cloud.AWS{host: world.AWS, "public.ecr.aws": world.AWS, tenantHost: pluginCloud} {
		must(t)(aws.SeedImage(host, "team/app", "v1"))
	}
	must(t)(pluginCloud.SeedImage(pluginHost, e.name+"/app", "v1"))
}

// mendAWS gives the identities in AWS all that they need.
func (e *everyProvider) mendAWS(t *testing.T) {
	t.Helper()
	for aws, role := range map[*cloud.AWS]cloud.Role{world.AWS: e.role, pluginCloud: e.tenantRole} {
		if err := aws.AddRole(role); err != nil {
			t.Fatal(err)
		}
	}
	world.AWS.AddUser(e.user)
	pluginCloud.AddUser(pluginUser)
}

func (e *everyProvider) prepareGoogle(t *testing.T, issuer string) {
	t.Helper()
	e.googlePool = cloud.GoogleIdentityProvider{Issuer: issuer, Subjects: []string{e.subject()},
		Name: "projects/123456789012/locations/global/workloadIdentityPools/pool-" + e.number + "/providers/cluster"}
	e.googleAccount = cloud.GoogleServiceAccount{Email: "sa-" + e.number + "@my-project.iam.gserviceaccount.com",
		Impersonators: []string{e.googlePool.Member(e.subject())}}
	e.keyAccount = cloud.GoogleServiceAccount{Email: "key-" + e.number + "@my-project.iam.gserviceaccount.com"}
	e.mendGoogle()
	e.add(google, v1alpha1.Registry{ArtifactRegistry: &v1alpha1.ArtifactRegistry{
		Hosts: []string{"europe-west1-docker.pkg.dev"}, Project: "my-project", Repositories: []string{"apps"},
		WorkloadIdentityProvider: e.googlePool.Name, ServiceAccount: e.googleAccount.Email,
	}, Identity: e.byServiceAccount()}, "my-project/apps/app", "europe-west1-docker.pkg.dev")
	e.add(googleKey, v1alpha1.Registry{
		ArtifactRegistry: &v1alpha1.ArtifactRegistry{Hosts: []string{"us-docker.pkg.dev"}}, Identity: e.bySecret(t, googleKey, e.newGoogleKey(t)),
	}, "my-project/apps/app", "us-docker.pkg.dev")
	for _, host := range []string{"europe-west1-docker.pkg.dev", "us-docker.pkg.dev"} {
		must(t)(world.Google.SeedImage(host, "my-project/apps/app", "v1"))
	}
}

func (e *everyProvider) newGoogleKey(t *testing.T) map[string]string {
	t.Helper()
	key, err := world.Google.NewKey(e.keyAccount.Email)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"credentials.json": string(key)}
}

func (e *everyProvider) mendGoogle() {
	world.Google.AddIdentityProvider(e.googlePool)
	for _, account := range []cloud.GoogleServiceAccount{e.googleAccount, e.keyAccount} {
		world.Google.AddServiceAccount(account)
		world.Google.SetPull(cloud.GoogleMember(account.Email), "projects/my-project/locations/*/repositories/apps")
	}
}

func (e *everyProvider) prepareAzure(t *testing.T, issuer string) {
	t.Helper()
	e.application = cloud.AzureApplication{ClientID: e.number + "-1a7e-4a2b-b3a4-2f8e3a4c9d11",
		Federated: []cloud.AzureFederatedCredential{{Issuer: issuer, Subject: e.subject(), Audience: "api://AzureADTokenExchange"}}}
	e.application2 = cloud.AzureApplication{ClientID: e.number + "-1a7e-4a2b-b3a4-2f8e3a4c9d12", Secret: cloud.CanaryEntra + e.name}
	one, two := "one"+e.number+".azurecr.io", "two"+e.number+".azurecr.io"
	e.azureRoles = map[string]string{one: e.application.ClientID, two: e.application2.ClientID}
	e.account.Annotations["azure.workload.identity/client-id"] = e.application.ClientID
	e.account.Annotations["azure.workload.identity/tenant-id"] = cloud.AzureTenant
	for host := range e.azureRoles {
		if err := world.Azure.AddRegistry(cloud.AzureRegistry{Host: host}); err != nil {
			t.Fatal(err)
		}
		must(t)(world.Azure.SeedImage(host, "team/app", "v1"))
	}
	e.mendAzure(cloud.AzureAcrPull)
	e.add(azure, v1alpha1.Registry{ACR: &v1alpha1.ACR{Registry: v1alpha1.Host(one)}, Identity: e.byServiceAccount()}, "team/app", one)
	e.add(azureSecret, v1alpha1.Registry{ACR: &v1alpha1.ACR{Registry: v1alpha1.Host(two)}, Identity: e.bySecret(t, azureSecret, e.azureKeys())}, "team/app", two)
}

func (e *everyProvider) azureKeys() map[string]string {
	return map[string]string{"AZURE_CLIENT_ID": e.application2.ClientID, "AZURE_TENANT_ID": cloud.AzureTenant, "AZURE_CLIENT_SECRET": e.application2.Secret}
}

// mendAzure makes the applications what they were, with this role alone, or with none if it is empty.
func (e *everyProvider) mendAzure(role string) {
	world.Azure.AddApplication(e.application)
	world.Azure.AddApplication(e.application2)
	for host, client := range e.azureRoles {
		world.Azure.RemoveRoles(host, client)
		if role != "" {
			world.Azure.AssignRole(cloud.AzureRoleAssignment{Registry: host, ClientID: client, Role: role})
		}
	}
}

func (e *everyProvider) prepareJFrog(t *testing.T, issuer string) {
	t.Helper()
	e.jfrogGroup, e.jfrogAdminUser = e.name+"-readers", e.name+"-admin"
	e.jfrogProvider = cloud.JFrogProvider{Name: e.name, Issuer: issuer, Audience: world.JFrog.URL(), Mappings: []cloud.JFrogIdentityMapping{
		{Name: "puller", Claims: map[string]string{"sub": e.subject()}, Username: e.name},
	}}
	e.mendJFrog()
	e.add(jfrog, v1alpha1.Registry{Artifactory: &v1alpha1.Artifactory{URL: world.JFrog.URL(), ProviderName: e.name}, Identity: e.byServiceAccount()},
		"docker-local/app", "acme.jfrog.io")
	e.add(jfrogAdmin, v1alpha1.Registry{
		Artifactory: &v1alpha1.Artifactory{URL: world.JFrog.URL(), Hosts: []v1alpha1.Host{"acme-docker-local.jfrog.io"}, Username: e.name},
		Identity:    e.bySecret(t, jfrogAdmin, e.newAdminToken()),
	}, "app", "acme-docker-local.jfrog.io")
	e.add(dockerConfig, v1alpha1.Registry{Static: &v1alpha1.Static{}, Identity: e.bySecret(t, dockerConfig, e.newDockerConfig())},
		"app", "acme-docker-remote.jfrog.io")
	must(t)(world.JFrog.SeedImage("acme.jfrog.io", "docker-local/app", "v1"))
	must(t)(world.JFrog.SeedImage("acme-docker-local.jfrog.io", "app", "v1"))
	must(t)(world.JFrog.SeedImage("acme-docker-remote.jfrog.io", "app", "v1"))
}

func (e *everyProvider) mendJFrog() {
	world.JFrog.AddUser(cloud.JFrogUser{Name: e.name, Groups: []string{e.jfrogGroup}})
	world.JFrog.AddUser(cloud.JFrogUser{Name: e.jfrogAdminUser, Admin: true})
	world.JFrog.SetReadable(e.jfrogGroup, "docker-local", "docker-remote")
	world.JFrog.AddProvider(e.jfrogProvider)
}

func (e *everyProvider) newAdminToken() map[string]string {
	password, token := world.JFrog.CreateToken(e.jfrogAdminUser, 24*time.Hour)
	e.jfrogAdminToken = token
	return map[string]string{"token": password}
}

// newDockerConfig holds a token of a user of JFrog's.
func (e *everyProvider) newDockerConfig() map[string]string {
	password, token := world.JFrog.CreateToken(e.name, 24*time.Hour)
	e.remoteUser = token
	return map[string]string{corev1.DockerConfigJsonKey: fmt.Sprintf(`{"auths":{"acme-docker-remote.jfrog.io":{"username":%q,"password":%q}}}`, e.name, password)}
}

func (e *everyProvider) prepareStatic(t *testing.T) {
	t.Helper()
	e.add(hub, v1alpha1.Registry{Static: &v1alpha1.Static{Host: "docker.io"}, Identity: e.bySecret(t, hub, e.newHubUser("acme/*"))}, "acme/app", "docker.io")
	must(t)(world.DockerHub.SeedImage("acme/app", "v1"))
}

// newHubUser ends the user's token at the Hub and gives a new one.
func (e *everyProvider) newHubUser(pull ...string) map[string]string {
	return map[string]string{"username": e.name, "password": world.DockerHub.AddUser(cloud.HubUser{Name: e.name, Pull: pull})}
}

func must(t *testing.T) func(string, error) {
	t.Helper()
	return func(_ string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}
