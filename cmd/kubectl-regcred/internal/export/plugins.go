package export

import (
	"strings"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/internal/partition"
)

// plugin is one of the clouds' own plugins.
type plugin struct {
	name string
	// audience is that of the tokens of ServiceAccounts that it takes, and annotations are the keys that it reads of them.
	audience    string
	annotations map[string]string
	args        []string
	cache       time.Duration
	// notes are what there is to know before it is used.
	notes []string
}

var (
	ecrPlugin = plugin{"ecr-credential-provider", "sts.amazonaws.com",
		map[string]string{"eks.amazonaws.com/ecr-role-arn": "ROLE-ARN"}, nil, 12 * time.Hour, nil}
	googlePlugin = plugin{"auth-provider-gcp", "identityconfig.googleapis.com",
		map[string]string{"iam.gke.io/enable-wi-image-pull": "true"}, []string{"get-credentials", "--identity-provider=IDENTITY-PROVIDER"}, time.Minute, nil}
	acrPlugin = plugin{"acr-credential-provider", "", // the audience is that of the registry's cloud
		map[string]string{"kubernetes.azure.com/acr-client-id": "CLIENT-ID", "kubernetes.azure.com/acr-tenant-id": "TENANT-ID"}, []string{"/etc/kubernetes/azure.json"}, 10 * time.Minute, nil}
)

// published are the hosts that the controller has found for an entry; none before it has, or of a file.
func published(c *cluster.Credential, name string) []string {
	for _, r := range c.Status.Registries {
		if r.Name == name {
			return r.Hosts
		}
	}
	return nil
}

// takes is the plugin that takes an entry over and the hosts that it is for, or why the entry stays.
func takes(r *v1alpha1.Registry, published []string) (p plugin, hosts []string, stays string) {
	switch {
	case r.Identity != nil && r.Identity.SecretRef != nil:
		return p, nil, "no plugin takes an identity from a Secret"
	case r.ECR != nil && r.ECR.RoleARN != "", r.ECRPublic != nil && r.ECRPublic.RoleARN != "":
		return p, nil, "the plugin assumes no second role: let the ServiceAccount's own role pull"
	case r.ECR != nil:
		return ecr(r.ECR, published)
	case r.ECRPublic != nil:
		return ecrPlugin, []string{"public.ecr.aws"}, ""
	case r.ArtifactRegistry != nil && r.ArtifactRegistry.ServiceAccount != "":
		return p, nil, "the plugin impersonates no service account: grant the ServiceAccount itself the role for reading"
	case r.ArtifactRegistry != nil:
		return googlePlugin, r.ArtifactRegistry.Hosts, ""
	case r.ACR != nil:
		return acr(r.ACR)
	case r.Plugin != nil:
		return p, nil, "it is a plugin of the kubelet already: move its part of the controller's CredentialProviderConfig to the kubelets"
	case r.Artifactory != nil:
		return p, nil, "JFrog's own plugin (jfrog-credential-provider) takes the same integration: see its documentation"
	default:
		return p, nil, "a login that somebody else keeps has no plugin"
	}
}

// ecr is for the hosts of the accounts. Without accounts or region they are known once the controller has asked ECR.
func ecr(e *v1alpha1.ECR, published []string) (p plugin, hosts []string, stays string) {
	p, cloud := ecrPlugin, partition.OfRegion(e.Region)
	switch {
	case e.Region == "" || len(e.Accounts) == 0:
		hosts = published
		if len(hosts) == 0 {
			return p, nil, "its hosts are not known here: name its region and its accounts first"
		}
	case e.DualStack && cloud.DualStack == "":
		return p, nil, "region " + e.Region + " has no dual-stack registries: remove dualStack first"
	default:
		for _, account := range e.Accounts {
			hosts = append(hosts, cloud.ECRHost(account, e.Region, e.FIPS, e.DualStack))
		}
	}
	if cloud.ID == "aws-eusc" {
		p.notes = []string{"hosts of AWS' European Sovereign Cloud are new to " + p.name + ": look whether your version of it knows them"}
	}
	return p, hosts, ""
}

// acr is for the login server and its regional endpoints.
func acr(a *v1alpha1.ACR) (p plugin, hosts []string, stays string) {
	p, host := acrPlugin, string(a.Registry)
	cloud, known := partition.OfRegistry(host)
	switch {
	case !known:
		return p, nil, host + " is in none of Azure's own clouds, and the plugin knows no other"
	case a.IdentityBinding:
		return p, nil, "AKS itself configures the plugin for identity bindings: see its documentation"
	}
	p.audience, hosts = cloud.Audience, []string{host}
	for _, region := range a.Regions {
		hosts = append(hosts, strings.TrimSuffix(host, cloud.Suffix)+region+".geo."+cloud.Suffix)
	}
	return p, hosts, ""
}
