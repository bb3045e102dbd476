// Package export says how a credential goes over to the kubelet's own credential provider plugins, for those who run their own kubelets and
// want no Secret at all.
package export

import (
	"fmt"
	"slices"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
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

// plugin is one of the clouds' own plugins.
type plugin struct {
	name string
	// audience is that of the tokens of ServiceAccounts that it takes, and annotations are the keys that it reads of them.
	audience    string
	annotations map[string]string
	args        []string
	cache       time.Duration
}

var (
	ecrPlugin = plugin{"ecr-credential-provider", "sts.amazonaws.com",
		map[string]string{"eks.amazonaws.com/ecr-role-arn": "ROLE-ARN"}, nil, 12 * time.Hour}
	googlePlugin = plugin{"auth-provider-gcp", "identityconfig.googleapis.com",
		map[string]string{"iam.gke.io/enable-wi-image-pull": "true"}, []string{"get-credentials", "--identity-provider=IDENTITY-PROVIDER"}, time.Minute}
	acrPlugin = plugin{"acr-credential-provider", "api://AzureADTokenExchange",
		map[string]string{"kubernetes.azure.com/acr-client-id": "CLIENT-ID", "kubernetes.azure.com/acr-tenant-id": "TENANT-ID"}, []string{"/etc/kubernetes/azure.json"}, 10 * time.Minute}
)

// Of says how a credential goes over.
func Of(c *cluster.Credential) *Kubelet {
	k := &Kubelet{
		Config: &kubeletv1.CredentialProviderConfig{
			TypeMeta: metav1.TypeMeta{APIVersion: kubeletv1.SchemeGroupVersion.String(), Kind: "CredentialProviderConfig"}, Providers: []kubeletv1.CredentialProvider{},
		},
		Annotations: map[string]string{},
	}
	for i := range c.Spec.Registries {
		k.entry(&c.Spec.Registries[i])
	}
	if c.Spec.ServiceAccounts != nil {
		k.Accounts = c.Spec.ServiceAccounts.Names
	}
	k.allow(c.GetName())
	k.Notes = append(k.Notes, platforms...)
	return k
}

// entry takes an entry over, or says why it stays.
func (k *Kubelet) entry(r *v1alpha1.Registry) {
	provider, _ := r.Provider()
	stays := func(why string) { k.Stays = append(k.Stays, fmt.Sprintf("%s (%s): %s", r.Name, provider, why)) }
	switch {
	case r.Identity != nil && r.Identity.SecretRef != nil:
		stays("no plugin takes an identity from a Secret")
	case r.ECR != nil && r.ECR.RoleARN != "", r.ECRPublic != nil && r.ECRPublic.RoleARN != "":
		stays("the plugin assumes no second role: let the ServiceAccount's own role pull")
	case r.ECR != nil && len(r.ECR.Accounts) == 0:
		stays("name its accounts first: without them its hosts are not known here")
	case r.ECR != nil:
		k.add(ecrPlugin, r, ecrHosts(r.ECR))
	case r.ECRPublic != nil:
		k.add(ecrPlugin, r, []string{"public.ecr.aws"})
	case r.ArtifactRegistry != nil && r.ArtifactRegistry.ServiceAccount != "":
		stays("the plugin impersonates no service account: grant the ServiceAccount itself the role for reading")
	case r.ArtifactRegistry != nil:
		k.add(googlePlugin, r, r.ArtifactRegistry.Hosts)
	case r.ACR != nil:
		k.add(acrPlugin, r, []string{string(r.ACR.Registry)})
	case r.Plugin != nil:
		stays("it is a plugin of the kubelet already: move its part of the controller's CredentialProviderConfig to the kubelets")
	case r.Artifactory != nil:
		stays("JFrog's own plugin (jfrog-credential-provider) takes the same integration: see its documentation")
	default:
		stays("a login that somebody else keeps has no plugin")
	}
}

// ecrHosts are the hosts of the registries of an entry.
func ecrHosts(e *v1alpha1.ECR) []string {
	suffix := "amazonaws.com"
	if strings.HasPrefix(e.Region, "cn-") {
		suffix = "amazonaws.com.cn"
	}
	service := "ecr"
	if e.FIPS {
		service = "ecr-fips"
	}
	region := e.Region
	if region == "" {
		region = "*"
	}
	var hosts []string
	for _, account := range e.Accounts {
		hosts = append(hosts, fmt.Sprintf("%s.dkr.%s.%s.%s", account, service, region, suffix))
	}
	return hosts
}

// add adds the hosts to the plugin, of pods' ServiceAccounts or of the node. A kubelet knows a plugin once.
func (k *Kubelet) add(p plugin, r *v1alpha1.Registry, hosts []string) {
	at := slices.IndexFunc(k.Config.Providers, func(c kubeletv1.CredentialProvider) bool { return c.Name == p.name })
	if at < 0 {
		at = len(k.Config.Providers)
		k.Config.Providers = append(k.Config.Providers, kubeletv1.CredentialProvider{
			Name: p.name, APIVersion: "credentialprovider.kubelet.k8s.io/v1", Args: p.args, DefaultCacheDuration: &metav1.Duration{Duration: p.cache},
		})
	}
	config := &k.Config.Providers[at]
	for _, host := range hosts {
		if !slices.Contains(config.MatchImages, host) {
			config.MatchImages = append(config.MatchImages, host)
		}
	}
	if r.Identity == nil || config.TokenAttributes != nil {
		return
	}
	attributes := &kubeletv1.ServiceAccountTokenAttributes{
		ServiceAccountTokenAudience: p.audience, CacheType: kubeletv1.ServiceAccountServiceAccountTokenCacheType, RequireServiceAccount: new(true),
	}
	for key, value := range p.annotations {
		attributes.RequiredServiceAccountAnnotationKeys = append(attributes.RequiredServiceAccountAnnotationKeys, key)
		k.Annotations[key] = value
	}
	slices.Sort(attributes.RequiredServiceAccountAnnotationKeys)
	config.TokenAttributes = attributes
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
