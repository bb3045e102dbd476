package wiring

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/lab"
	"github.com/regcred/regcred/test/plugins"
)

// The entries of a credential with every provider, and with every kind of identity of each that the clouds tell apart.
const (
	ecr, ecrPublic            = "ecr", "ecr-public"
	google, googleKey         = "google", "google-key"
	azure, azureSecret        = "azure", "azure-secret"
	jfrog, jfrogAdmin         = "jfrog", "jfrog-admin"
	hub, dockerConfig         = "hub", "docker-config"
	kubeletECR, kubeletTenant = "plugin", "plugin-tenant"
)

// everyProvider is a cluster-wide credential with an entry for every provider in it, and the identities that it acts with. They are its
// own: what is done to them concerns no other test.
type everyProvider struct {
	name       string
	credential *v1alpha1.ClusterRegistryCredential
	account    *corev1.ServiceAccount
	// images are what each entry may pull.
	images map[string]string
	asked  int

	number                      string
	role, tenantRole            cloud.Role
	user                        cloud.User
	googleAccount, keyAccount   cloud.GoogleServiceAccount
	googlePool                  cloud.GoogleIdentityProvider
	application, application2   cloud.AzureApplication
	azureRoles                  map[string]string // client IDs by registry
	jfrogProvider               cloud.JFrogProvider
	jfrogGroup, jfrogAdminUser  string
	jfrogAdminToken, remoteUser cloud.JFrogToken
}

// prepareEveryProvider makes the clouds trust a ServiceAccount and Secrets of this name. The credential is not created yet.
func prepareEveryProvider(t *testing.T, name string) *everyProvider {
	t.Helper()
	issuer, err := world.Issuer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	e := &everyProvider{name: name, number: fmt.Sprintf("%08x", h.Sum32()), images: map[string]string{}}
	e.credential = &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: name}}
	e.credential.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{"team": v1alpha1.LabelValue(name)}
	e.credential.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Names: []string{"default", "late"}}
	e.account = &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: lab.Namespace, Name: name, Annotations: map[string]string{}}}
	e.prepareAWS(t, issuer)
	e.prepareGoogle(t, issuer)
	e.prepareAzure(t, issuer)
	e.prepareJFrog(t, issuer)
	e.prepareStatic(t)
	create(t, e.account)
	return e
}

func (e *everyProvider) subject() string {
	return "system:serviceaccount:" + lab.Namespace + ":" + e.name
}

// add puts an entry into the credential, which acts for the ServiceAccount if it has no secret.
func (e *everyProvider) add(name string, r v1alpha1.Registry, repository, host string) {
	r.Name = name
	if r.Plugin == nil { // the controller knows the way to the registries of one AWS alone, and that is not the plugins'
		r.Verify = &v1alpha1.Verify{Repository: repository}
	}
	e.credential.Spec.Registries = append(e.credential.Spec.Registries, r)
	e.images[name] = host + "/" + repository + ":v1"
}

func (e *everyProvider) byServiceAccount() *v1alpha1.Identity {
	return &v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: e.name}}
}

// bySecret creates the Secret of an entry, which is watched.
func (e *everyProvider) bySecret(t *testing.T, entry string, data map[string]string) *v1alpha1.Identity {
	t.Helper()
	s := e.source(entry)
	s.StringData = data
	create(t, s)
	return &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: s.Name}}
}

func (e *everyProvider) source(entry string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: lab.Namespace, Name: e.name + "-" + entry, Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}}}
}

// setSource changes keys of the Secret of an entry.
func (e *everyProvider) setSource(t *testing.T, entry string, data map[string]string) {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"stringData": data})
	if err != nil {
		t.Fatal(err)
	}
	patch(t, e.source(entry), string(raw))
}

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
	e.add(kubeletECR, v1alpha1.Registry{Plugin: &v1alpha1.Plugin{Name: plugins.ECR, Image: pluginHost + "/team/app"}}, "team/app", pluginHost)
	e.add(kubeletTenant, v1alpha1.Registry{Plugin: &v1alpha1.Plugin{Name: tenantsPlugin, Image: tenantHost + "/team/app"}, Identity: e.byServiceAccount()},
		"team/app", tenantHost)
	for host, aws := range map[string]*cloud.AWS{host: world.AWS, "public.ecr.aws": world.AWS, pluginHost: pluginCloud, tenantHost: pluginCloud} {
		must(t)(aws.SeedImage(host, "team/app", "v1"))
	}
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
		Artifactory: &v1alpha1.Artifactory{URL: world.JFrog.URL(), Hosts: []v1alpha1.Host{"docker-local.acme.jfrog.io"}, Username: e.name},
		Identity:    e.bySecret(t, jfrogAdmin, e.newAdminToken()),
	}, "app", "docker-local.acme.jfrog.io")
	e.add(dockerConfig, v1alpha1.Registry{Static: &v1alpha1.Static{}, Identity: e.bySecret(t, dockerConfig, e.newDockerConfig())},
		"app", "docker-remote.acme.jfrog.io")
	must(t)(world.JFrog.SeedImage("acme.jfrog.io", "docker-local/app", "v1"))
	must(t)(world.JFrog.SeedImage("docker-local.acme.jfrog.io", "app", "v1"))
	must(t)(world.JFrog.SeedImage("docker-remote.acme.jfrog.io", "app", "v1"))
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
	return map[string]string{corev1.DockerConfigJsonKey: fmt.Sprintf(`{"auths":{"docker-remote.acme.jfrog.io":{"username":%q,"password":%q}}}`, e.name, password)}
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

// refresh asks for new tokens.
func (e *everyProvider) refresh(t *testing.T) {
	t.Helper()
	e.asked++
	patch(t, e.credential, fmt.Sprintf(`{"metadata":{"annotations":{%q:"%d"}}}`, v1alpha1.AnnotationRefreshRequestedAt, e.asked))
}

// entries are the names of all entries.
func (e *everyProvider) entries() []string { return slices.Sorted(maps.Keys(e.images)) }

// published waits until the Secret in a namespace holds tokens of exactly these entries which answer the latest request.
func (e *everyProvider) published(t *testing.T, namespace string, entries ...string) *corev1.Secret {
	t.Helper()
	var last string
	defer func() {
		if t.Failed() {
			t.Logf("the last records: %s", last)
		}
	}()
	slices.Sort(entries)
	return secret(t, namespace, e.name, fmt.Sprint("new tokens of ", entries), func(s *corev1.Secret) bool {
		last = s.Annotations["regcred.dev/registries"]
		var fresh []string
		for _, r := range recordsOf(t, s) {
			if e.asked == 0 || r.Refresh == fmt.Sprint(e.asked) {
				fresh = append(fresh, r.Name)
			}
		}
		slices.Sort(fresh)
		return slices.Equal(fresh, entries)
	})
}

// record is what a Secret says of an entry.
type record struct {
	Name     string                 `json:"name"`
	Hosts    []string               `json:"hosts"`
	Refresh  string                 `json:"refreshRequestedAt"`
	Verified metav1.ConditionStatus `json:"verified"`
}

func recordsOf(t *testing.T, s *corev1.Secret) map[string]record {
	t.Helper()
	var list []record
	if err := json.Unmarshal([]byte(s.Annotations["regcred.dev/registries"]), &list); err != nil {
		t.Fatal(err)
	}
	records := map[string]record{}
	for _, r := range list {
		records[r.Name] = r
	}
	return records
}

// auths are the bytes of each entry in a Secret.
func auths(t *testing.T, s *corev1.Secret) map[string]string {
	t.Helper()
	var config struct{ Auths map[string]json.RawMessage }
	if err := json.Unmarshal(s.Data[corev1.DockerConfigJsonKey], &config); err != nil {
		t.Fatal("the content is not a docker config")
	}
	out := map[string]string{}
	for name, r := range recordsOf(t, s) {
		for _, host := range r.Hosts {
			if host == "docker.io" {
				host = "https://index.docker.io/v1/"
			}
			out[name] += string(config.Auths[host])
		}
	}
	return out
}

// pulls proves that the Secret pulls the image of each of the entries.
func (e *everyProvider) pulls(t *testing.T, s *corev1.Secret, entries ...string) {
	t.Helper()
	for _, name := range entries {
		var transport http.RoundTripper = world.Internet.Transport()
		if name == kubeletECR || name == kubeletTenant {
			transport = pluginCloud.Transport()
		}
		if _, err := cloud.Pull(t.Context(), transport, s.Data[corev1.DockerConfigJsonKey], e.images[name]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// standing waits until the status says these reasons, by entry, and none of the others.
func (e *everyProvider) standing(t *testing.T, reasons map[string]string) {
	t.Helper()
	var last map[string]string
	defer func() {
		if t.Failed() {
			t.Logf("the last status: %v\nwant %v", last, reasons)
		}
	}()
	until(t, &v1alpha1.ClusterRegistryCredentialList{}, "", e.name, "its status", func(c *v1alpha1.ClusterRegistryCredential, _ bool) bool {
		last = map[string]string{}
		for _, r := range c.Status.Registries {
			if r.Reason != "" {
				last[r.Name] = r.Reason
			}
		}
		return len(c.Status.Registries) > 0 && maps.Equal(last, reasons)
	})
}

// calls counts the calls to all clouds, by cloud and action.
func calls() map[string]int {
	counts := map[string]int{}
	for name, calls := range map[string]cloud.Calls{
		"aws": world.AWS.Calls(), "google": world.Google.Calls(), "azure": world.Azure.Calls(), "jfrog": world.JFrog.Calls(),
		"hub": world.DockerHub.Calls(), "plugin": pluginCloud.Calls(),
	} {
		for outcome, n := range calls {
			counts[name+" "+outcome.Action] += n
		}
	}
	return counts
}

// callsSince are the calls since they were counted.
func callsSince(before map[string]int) map[string]int {
	after := calls()
	for name, n := range before {
		if after[name] -= n; after[name] == 0 {
			delete(after, name)
		}
	}
	return after
}
