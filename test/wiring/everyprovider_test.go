package wiring

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"net/http"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/lab"
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
		last = s.Annotations[pullsecret.AnnotationRegistries]
		var fresh []string
		for _, r := range recordsOf(t, s) {
			if e.asked == 0 || r.Refresh == pullsecret.Stamp(fmt.Sprint(e.asked)) {
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
	Refresh  string                 `json:"refresh"`
	Verified metav1.ConditionStatus `json:"verified"`
}

func recordsOf(t *testing.T, s *corev1.Secret) map[string]record {
	t.Helper()
	var written struct{ Entries []record }
	if err := json.Unmarshal([]byte(s.Annotations[pullsecret.AnnotationRegistries]), &written); err != nil {
		t.Fatal(err)
	}
	records := map[string]record{}
	for _, r := range written.Entries {
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
