package cloud

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
)

// GoogleServiceAccount is a service account with what its IAM policy and the organization say about it.
type GoogleServiceAccount struct {
	Email string
	// Impersonators are the members that may create its tokens: by roles/iam.workloadIdentityUser or
	// roles/iam.serviceAccountTokenCreator on it.
	Impersonators []string
	// ExtendedLifetime is the organization policy constraints/iam.allowServiceAccountCredentialLifetimeExtension.
	ExtendedLifetime bool
	Disabled         bool
}

// GoogleMember is the name of a service account in IAM.
func GoogleMember(email string) string { return "serviceAccount:" + email }

// GoogleIdentityProvider is a provider of a workload identity pool, which maps google.subject to the sub of a token.
type GoogleIdentityProvider struct {
	// Name is projects/<number>/locations/global/workloadIdentityPools/<pool>/providers/<provider>.
	Name   string
	Issuer string
	// Audiences are allowed; absent: https://iam.googleapis.com/ and the name.
	Audiences []string
	// Subjects are those that the attribute condition lets in; absent: all.
	Subjects []string
}

// Member is the name in IAM of an identity in the provider's pool.
func (p GoogleIdentityProvider) Member(subject string) string {
	pool, _, _ := strings.Cut(p.Name, "/providers/")
	return fmt.Sprintf("principal://iam.googleapis.com/%s/subject/%s", pool, subject)
}

// GoogleCluster is a GKE cluster with an identity namespace.
type GoogleCluster struct {
	// Name is projects/<project>/locations/<location>/clusters/<cluster>, or …/memberships/<membership> of a fleet.
	Name   string
	Issuer string
}

func (c GoogleCluster) namespace() string { return strings.Split(c.Name, "/")[1] + ".svc.id.goog" }

// Member is the name in IAM of a ServiceAccount of the cluster.
func (c GoogleCluster) Member(namespace, name string) string {
	return fmt.Sprintf("serviceAccount:%s[%s/%s]", c.namespace(), namespace, name)
}

// googleIAM holds who there is and who may do what.
type googleIAM struct {
	mu        sync.Mutex
	accounts  map[string]GoogleServiceAccount
	keys      map[string]googleKey
	providers map[string]GoogleIdentityProvider
	clusters  map[string]GoogleCluster
	pull      map[string][]string
	// apiDisabled is whether the Artifact Registry API is off in the project.
	apiDisabled bool
}

type googleKey struct {
	email  string
	public *rsa.PublicKey
}

func newGoogleIAM() *googleIAM {
	return &googleIAM{
		accounts: map[string]GoogleServiceAccount{}, keys: map[string]googleKey{}, providers: map[string]GoogleIdentityProvider{},
		clusters: map[string]GoogleCluster{}, pull: map[string][]string{},
	}
}

// AddServiceAccount adds a service account or replaces the one with the same email.
func (g *Google) AddServiceAccount(a GoogleServiceAccount) {
	g.iam.mu.Lock()
	defer g.iam.mu.Unlock()
	g.iam.accounts[a.Email] = a
}

// AddIdentityProvider adds a provider of a workload identity pool or replaces the one with the same name.
func (g *Google) AddIdentityProvider(p GoogleIdentityProvider) {
	g.iam.mu.Lock()
	defer g.iam.mu.Unlock()
	g.iam.providers[p.Name] = p
}

// AddCluster adds a GKE cluster or replaces the one with the same name.
func (g *Google) AddCluster(c GoogleCluster) {
	g.iam.mu.Lock()
	defer g.iam.mu.Unlock()
	g.iam.clusters[c.Name] = c
}

// SetPull replaces the repositories that a member may pull from, for its live tokens too: path.Match patterns of
// projects/<project>/locations/<location>/repositories/<repository>, or "*" alone for every repository.
func (g *Google) SetPull(member string, repositories ...string) {
	g.iam.mu.Lock()
	defer g.iam.mu.Unlock()
	g.iam.pull[member] = repositories
}

// SetAPIDisabled turns the Artifact Registry API of the project off.
func (g *Google) SetAPIDisabled(disabled bool) {
	g.iam.mu.Lock()
	defer g.iam.mu.Unlock()
	g.iam.apiDisabled = disabled
}

// NewKey creates a key of a service account: the content of the file that the console offers to download.
func (g *Google) NewKey(email string) ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("generating a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	id := fmt.Sprintf("%x", randomData(20))
	g.iam.mu.Lock()
	defer g.iam.mu.Unlock()
	g.iam.keys[id] = googleKey{email: email, public: &key.PublicKey}
	return json.Marshal(map[string]string{
		"type": "service_account", "project_id": GoogleProject, "private_key_id": id, "client_email": email,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"token_uri":   "https://oauth2.googleapis.com/token", "universe_domain": "googleapis.com",
	})
}

// DeleteKeys deletes the keys of a service account.
func (g *Google) DeleteKeys(email string) {
	g.iam.mu.Lock()
	defer g.iam.mu.Unlock()
	for id, key := range g.iam.keys {
		if key.email == email {
			delete(g.iam.keys, id)
		}
	}
}

func (i *googleIAM) account(email string) (GoogleServiceAccount, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	a, ok := i.accounts[email]
	return a, ok
}

func (i *googleIAM) key(id string) (googleKey, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	k, ok := i.keys[id]
	return k, ok
}

func (i *googleIAM) provider(name string) (GoogleIdentityProvider, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	p, ok := i.providers[name]
	return p, ok
}

func (i *googleIAM) cluster(name string) (GoogleCluster, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c, ok := i.clusters[name]
	return c, ok
}

func (i *googleIAM) mayPull(member, repository string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.ContainsFunc(i.pull[member], func(pattern string) bool {
		if pattern == "*" {
			return true
		}
		matched, err := path.Match(pattern, repository)
		return err == nil && matched
	})
}

func (i *googleIAM) disabled() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.apiDisabled
}
