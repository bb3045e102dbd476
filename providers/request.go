package providers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/regcred/regcred/api/v1alpha1"
)

// Request is what a token is made from, and who asks for it and how urgently. Requests of the same source share a token; those of
// different sources never do.
type Request struct {
	// Registry is the whole entry; its union member that is set decides on the provider.
	Registry v1alpha1.Registry
	// Identity is who asks.
	Identity Identity

	// Until is the end of an override, for its login by hand; zero for a provider's token.
	Until time.Time

	// What follows is no part of the source.

	// Credential names the credential whose call it is, for the log.
	Credential string
	// Tenant is the namespace of the credential, in whose turn the call is made; empty for a ClusterRegistryCredential.
	Tenant string
	// RefreshStamp stands for a refresh request that is not answered yet: only a token whose mint began after it was first seen will do.
	RefreshStamp string
	// Urgency orders the calls of a tenant: a higher one goes first.
	Urgency int

	// source is the hash, if it has been computed already.
	source string
}

// Owner is a credential, to tell who names a source.
type Owner struct {
	// Tenant is the namespace of a RegistryCredential; empty for a ClusterRegistryCredential.
	Tenant string
	Name   string
}

// OfCluster says whether it is a ClusterRegistryCredential.
func (o Owner) OfCluster() bool { return o.Tenant == "" }

// Sealed returns the request with its source computed, once for all that ask for it. What the source depends on may not change after that.
func (r Request) Sealed() Request {
	r.source = r.hash()
	return r
}

// SealedAs returns the request with the source that an equal one was sealed with.
func (r Request) SealedAs(source string) Request {
	r.source = source
	return r
}

// Source identifies what the token is made from. It is a hash, so that it can be kept where the request itself should not be. It is written
// beside the token: a change of the entry or of its identity is then noticed after a restart, too.
func (r Request) Source() string {
	if r.source != "" {
		return r.source
	}
	return r.hash()
}

// hash leaves out what does not change the token: the entry's name, the reference to its identity, which Identity resolves, and when and
// for how long the token is used.
func (r Request) hash() string {
	r.Registry.Name, r.Registry.Identity, r.Registry.Override, r.Registry.RenewBeforePercentage = "", nil, nil, 0
	raw, err := json.Marshal(struct {
		Registry v1alpha1.Registry
		Identity Identity
		Until    time.Time `json:",omitzero"`
	}{r.Registry, r.Identity, r.Until})
	if err != nil {
		panic(fmt.Sprintf("a request of plain fields does not marshal: %v", err))
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}

// Identity is who asks the cloud. With no member set it is the controller's own (ambient) identity.
type Identity struct {
	ServiceAccount *ServiceAccount `json:"serviceAccount,omitempty"`
	Secret         *Secret         `json:"secret,omitempty"`
}

// ServiceAccount is a Kubernetes ServiceAccount as an identity.
type ServiceAccount struct {
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	UID       types.UID `json:"uid"`
	// Annotations are those that the provider declares that it reads.
	Annotations map[string]string `json:"annotations,omitempty"`

	// RequestToken asks Kubernetes for a token of this ServiceAccount, for one audience and a lifetime of at least 10 minutes.
	RequestToken func(ctx context.Context, audience string, lifetime time.Duration) (string, error) `json:"-"`
}

func (s *ServiceAccount) String() string { return "ServiceAccount " + s.Namespace + "/" + s.Name }

// Secret is a Kubernetes Secret as an identity. Its content is not held: a hash stands for it.
type Secret struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// DataHash is what HashData makes of its content. Its other metadata may change as it likes.
	DataHash string `json:"dataHash"`

	// Data reads the Secret's content.
	Data func(ctx context.Context) (map[string][]byte, error) `json:"-"`
}

func (s *Secret) String() string { return "Secret " + s.Namespace + "/" + s.Name }

// HashData is the same for the same content, after a restart too.
func HashData(data map[string][]byte) string {
	h := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(data)) {
		_, _ = fmt.Fprintf(h, "%q %d\n", key, len(data[key]))
		_, _ = h.Write(data[key])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
