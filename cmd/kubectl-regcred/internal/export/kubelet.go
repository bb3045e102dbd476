// Package export says how a credential goes over to the kubelet's own credential provider plugins, for those who run their own kubelets and
// want no Secret at all.
package export

import (
	"fmt"
	"maps"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeletv1 "k8s.io/kubelet/config/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
)

// Kubelet is what takes the place of a credential.
type Kubelet struct {
	// Config is for --image-credential-provider-config of every kubelet.
	Config *kubeletv1.CredentialProviderConfig `json:"config"`
	// Role and Binding let kubelets ask for tokens with the plugins' audiences.
	Role    *rbacv1.ClusterRole        `json:"clusterRole,omitempty"`
	Binding *rbacv1.ClusterRoleBinding `json:"clusterRoleBinding,omitempty"`
	// Annotations are those that the ServiceAccounts of the pods need. What is not known stands in capitals.
	Annotations map[string]string `json:"annotations,omitempty"`
	// Accounts are the ServiceAccounts, by name.
	Accounts []string `json:"serviceAccounts,omitempty"`
	// Stays are the entries that cannot go, and why.
	Stays []string `json:"stays,omitempty"`
	// Notes are what else there is to do.
	Notes []string `json:"notes,omitempty"`
}

// Of says how a credential goes over.
func Of(c *cluster.Credential) *Kubelet {
	k := &Kubelet{
		Config: &kubeletv1.CredentialProviderConfig{
			TypeMeta: metav1.TypeMeta{APIVersion: kubeletv1.SchemeGroupVersion.String(), Kind: "CredentialProviderConfig"}, Providers: []kubeletv1.CredentialProvider{},
		},
		Annotations: map[string]string{},
	}
	for i := range c.Spec.Registries {
		r := &c.Spec.Registries[i]
		p, hosts, stays := takes(r, published(c, r.Name))
		if stays == "" {
			stays = k.add(p, r, hosts)
		}
		if stays != "" {
			provider, _ := r.Provider()
			k.Stays = append(k.Stays, fmt.Sprintf("%s (%s): %s", r.Name, provider, stays))
		}
	}
	if c.Spec.ServiceAccounts != nil {
		k.Accounts = c.Spec.ServiceAccounts.Names
	}
	k.allow(c.GetName())
	k.Notes = append(k.Notes, platforms...)
	return k
}

// add adds the hosts to the plugin, of pods' ServiceAccounts or of the node, or says why they stay. A kubelet knows a plugin once.
func (k *Kubelet) add(p plugin, r *v1alpha1.Registry, hosts []string) (stays string) {
	attributes := attributesOf(p, r)
	at := slices.IndexFunc(k.Config.Providers, func(c kubeletv1.CredentialProvider) bool { return c.Name == p.name })
	if at < 0 {
		at = len(k.Config.Providers)
		k.Config.Providers = append(k.Config.Providers, kubeletv1.CredentialProvider{
			Name: p.name, APIVersion: "credentialprovider.kubelet.k8s.io/v1", Args: p.args, DefaultCacheDuration: &metav1.Duration{Duration: p.cache}, TokenAttributes: attributes,
		})
	}
	config := &k.Config.Providers[at]
	if !equality.Semantic.DeepEqual(config.TokenAttributes, attributes) {
		return "a kubelet runs " + p.name + " once, and another entry wants it with another identity: of the node, of pods, or of another cloud"
	}
	for _, host := range hosts {
		if !slices.Contains(config.MatchImages, host) {
			config.MatchImages = append(config.MatchImages, host)
		}
	}
	if attributes != nil {
		maps.Copy(k.Annotations, p.annotations)
	}
	for _, note := range p.notes {
		if !slices.Contains(k.Notes, note) {
			k.Notes = append(k.Notes, note)
		}
	}
	return ""
}

// attributesOf are those of the tokens that a plugin gets; nil if it acts as the node.
func attributesOf(p plugin, r *v1alpha1.Registry) *kubeletv1.ServiceAccountTokenAttributes {
	if r.Identity == nil {
		return nil
	}
	return &kubeletv1.ServiceAccountTokenAttributes{
		ServiceAccountTokenAudience: p.audience, CacheType: kubeletv1.ServiceAccountServiceAccountTokenCacheType, RequireServiceAccount: new(true),
		RequiredServiceAccountAnnotationKeys: slices.Sorted(maps.Keys(p.annotations)),
	}
}

// allow lets kubelets ask for tokens with the audiences: without it the API server refuses them, and the pull fails (KEP-4412).
func (k *Kubelet) allow(name string) {
	var audiences []string
	for _, p := range k.Config.Providers {
		if p.TokenAttributes != nil {
			audiences = append(audiences, p.TokenAttributes.ServiceAccountTokenAudience)
		}
	}
	if len(audiences) == 0 {
		return
	}
	meta := metav1.ObjectMeta{Name: "kubelet-pull-" + name}
	rule := rbacv1.PolicyRule{APIGroups: []string{""}, Resources: audiences, Verbs: []string{"request-serviceaccounts-token-audience"}, ResourceNames: k.Accounts}
	k.Role = &rbacv1.ClusterRole{TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"}, ObjectMeta: meta, Rules: []rbacv1.PolicyRule{rule}}
	k.Binding = &rbacv1.ClusterRoleBinding{
		TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRoleBinding"}, ObjectMeta: meta,
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:nodes"}},
	}
}

// platforms are where the configuration goes.
var platforms = []string{
	"every pod pulls as its own ServiceAccount then, and not as one for all: annotate each, and let the cloud trust each",
	"install the plugins on every node, and start kubelets with --image-credential-provider-config and --image-credential-provider-bin-dir",
	"kubeadm: kubeletExtraArgs of the node's registration; k3s and RKE2: /var/lib/rancher/credentialprovider, or --kubelet-arg",
	"EKS, GKE and AKS configure the plugin of their own registries themselves: what can be changed of it is in their documentation",
	"Kubernetes 1.34 or later gives plugins the tokens of ServiceAccounts without a feature gate",
	"delete the credential when no pod names its Secret any more: kubectl regcred audit lists who does",
}
