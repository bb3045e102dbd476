package migrate

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/node"
)

// generator is a generator of External Secrets that has a registry's tokens made.
type generator struct {
	// kind is what the object is, of what it makes: for a ClusterGenerator they differ.
	kind, of, namespace, name string
	spec                      generatorSpec
}

func (g *generator) String() string {
	if g.namespace == "" {
		return g.kind + " " + g.name
	}
	return g.kind + " " + g.namespace + "/" + g.name
}

// The generators of registries whose tokens Regcred has made, too.
const (
	generatesECR    = "ECRAuthorizationToken"
	generatesGoogle = "GCRAccessToken"
	generatesACR    = "ACRAccessToken"
)

// generatorSpec is what decides on a credential, of all three kinds. Source: apis/generators/v1alpha1 of External Secrets.
type generatorSpec struct {
	Region    string        `json:"region"`
	Role      string        `json:"role"`
	Scope     string        `json:"scope"`
	ProjectID string        `json:"projectID"`
	Registry  string        `json:"registry"`
	TenantID  string        `json:"tenantId"`
	Auth      generatorAuth `json:"auth"`
}

type generatorAuth struct {
	JWT       *accountHolder `json:"jwt"`
	SecretRef *struct {
		AccessKeyID     reference `json:"accessKeyIDSecretRef"`
		SecretAccessKey reference `json:"secretAccessKeySecretRef"`
	} `json:"secretRef"`
	WorkloadIdentity *struct {
		accountHolder    `json:",inline"`
		ClusterLocation  string `json:"clusterLocation"`
		ClusterName      string `json:"clusterName"`
		ClusterProjectID string `json:"clusterProjectID"`
	} `json:"workloadIdentity"`
	Federation *struct {
		accountHolder `json:",inline"`
		Audience      string `json:"audience"`
	} `json:"workloadIdentityFederation"`
	ManagedIdentity *struct {
		ID string `json:"identityId"`
	} `json:"managedIdentity"`
	ServicePrincipal *struct {
		SecretRef struct {
			ClientID     reference `json:"clientId"`
			ClientSecret reference `json:"clientSecret"`
		} `json:"secretRef"`
	} `json:"servicePrincipal"`
}

type accountHolder struct {
	ServiceAccountRef *reference `json:"serviceAccountRef"`
}

// reference names an object. Its namespace counts for a ClusterGenerator alone.
type reference struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	Key       string `json:"key"`
}

// generatorOf reads a generator; nil if it is of nothing that Regcred does.
func generatorOf(o *unstructured.Unstructured) (*generator, error) {
	g := &generator{kind: o.GetKind(), of: o.GetKind(), namespace: o.GetNamespace(), name: o.GetName()}
	spec, _, err := unstructured.NestedMap(o.Object, "spec")
	if g.kind == clusterGenerator {
		g.namespace = ""
		g.of, _, _ = unstructured.NestedString(spec, "kind")
		spec, _, err = unstructured.NestedMap(spec, "generator", clusterSpecs[g.of])
	}
	if !slices.Contains([]string{generatesECR, generatesGoogle, generatesACR}, g.of) {
		return nil, nil
	}
	raw, encoded := json.Marshal(spec)
	if err != nil || encoded != nil || json.Unmarshal(raw, &g.spec) != nil {
		return nil, fmt.Errorf("not read: %s is no valid %s", g, g.kind)
	}
	return g, nil
}

const clusterGenerator = "ClusterGenerator"

// clusterSpecs are where the spec of each kind stands in a ClusterGenerator.
var clusterSpecs = map[string]string{generatesECR: "ecrAuthorizationTokenSpec", generatesGoogle: "gcrAccessTokenSpec", generatesACR: "acrAccessTokenSpec"}

// pullScope is the scope of an ACRAccessToken that may pull from one repository.
var pullScope = regexp.MustCompile(`^repository:([^:]+):(pull|pull,push)$`)

// entry is the registry entry that brings what the generator does. Hosts and accounts are not its to say.
func (g *generator) entry() *v1alpha1.Registry {
	s := &g.spec
	switch {
	case g.of == generatesECR && s.Scope == "public":
		return &v1alpha1.Registry{Name: "ecr-public", ECRPublic: &v1alpha1.ECRPublic{RoleARN: s.Role}, Identity: g.identity()}
	case g.of == generatesECR:
		return &v1alpha1.Registry{Name: "ecr-" + s.Region, ECR: &v1alpha1.ECR{Region: s.Region, RoleARN: s.Role}, Identity: g.identity()}
	case g.of == generatesGoogle:
		google := &v1alpha1.ArtifactRegistry{}
		if w := s.Auth.WorkloadIdentity; w != nil && w.ClusterName != "" && w.ClusterLocation != "" {
			google.GKECluster = "projects/" + cmp.Or(w.ClusterProjectID, s.ProjectID) + "/locations/" + w.ClusterLocation + "/clusters/" + w.ClusterName
		}
		if f := s.Auth.Federation; f != nil && f.ServiceAccountRef != nil {
			google.WorkloadIdentityProvider = strings.TrimPrefix(f.Audience, "//iam.googleapis.com/")
		}
		return &v1alpha1.Registry{Name: "google", ArtifactRegistry: google, Identity: g.identity()}
	default:
		host := strings.ToLower(s.Registry)
		azure := &v1alpha1.ACR{Registry: v1alpha1.Host(host), TenantID: s.TenantID}
		if scope := pullScope.FindStringSubmatch(s.Scope); scope != nil {
			azure.Repositories = scope[1:2]
		}
		if s.Auth.ManagedIdentity != nil {
			azure.ManagedIdentity = s.Auth.ManagedIdentity.ID
		}
		name, _, _ := strings.Cut(host, ".")
		return &v1alpha1.Registry{Name: "acr-" + name, ACR: azure, Identity: g.identity()}
	}
}

// account is the ServiceAccount that the generator asks the cloud as; nil if it is none.
func (g *generator) account() *reference {
	switch a := &g.spec.Auth; {
	case a.JWT != nil:
		return a.JWT.ServiceAccountRef
	case a.WorkloadIdentity != nil:
		return a.WorkloadIdentity.ServiceAccountRef
	case a.Federation != nil:
		return a.Federation.ServiceAccountRef
	default:
		return nil
	}
}

// secret is the Secret that holds the generator's credentials, and the key that Regcred reads of each of its own; nil if there is none.
func (g *generator) secret() (*reference, map[string]reference) {
	switch a := &g.spec.Auth; {
	case a.SecretRef != nil && g.of == generatesGoogle:
		return &a.SecretRef.SecretAccessKey, map[string]reference{"credentials.json": a.SecretRef.SecretAccessKey}
	case a.SecretRef != nil:
		return &a.SecretRef.AccessKeyID, map[string]reference{"AWS_ACCESS_KEY_ID": a.SecretRef.AccessKeyID, "AWS_SECRET_ACCESS_KEY": a.SecretRef.SecretAccessKey}
	case a.ServicePrincipal != nil:
		s := &a.ServicePrincipal.SecretRef
		return &s.ClientID, map[string]reference{"AZURE_CLIENT_ID": s.ClientID, "AZURE_CLIENT_SECRET": s.ClientSecret}
	default:
		return nil, nil
	}
}

// identity is who asks the cloud; nil if that is External Secrets itself, or the node.
func (g *generator) identity() *v1alpha1.Identity {
	if account := g.account(); account != nil {
		return &v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: account.Name}}
	}
	if secret, _ := g.secret(); secret != nil {
		return &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: secret.Name}}
	}
	return nil
}

// imageHost is what may be the host of a registry in the template of a docker config.
var imageHost = regexp.MustCompile(`[a-z0-9][a-z0-9.-]*[.][a-z]+`)

// hostsIn are the hosts of clouds' registries that a text names.
func hostsIn(text string) []string {
	hosts := imageHost.FindAllString(text, -1)
	slices.Sort(hosts)
	return slices.DeleteFunc(slices.Compact(hosts), func(host string) bool { return node.CloudOf(host) == "" && host != ecrPublicHost })
}
