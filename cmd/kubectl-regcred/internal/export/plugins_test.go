package export

import (
	"slices"
	"strings"
	"testing"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/test/cloud/facts"
)

var asPod = &v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: "puller"}}

func of(status []v1alpha1.RegistryStatus, entries ...v1alpha1.Registry) *Kubelet {
	o := &v1alpha1.RegistryCredential{Spec: v1alpha1.CredentialSpec{Registries: entries}}
	o.Status.Registries = status
	return Of(cluster.CredentialOf(o))
}

// A host that the images do not name is a pull without credentials, of which nobody tells.
func TestHostsOfECRAreThoseThatAWSHas(t *testing.T) {
	for _, fact := range facts.ECRHosts {
		k := of(nil, v1alpha1.Registry{Name: "a", ECR: &v1alpha1.ECR{Region: fact.Region, Accounts: []string{"123456789012"}, FIPS: fact.FIPS, DualStack: fact.DualStack}})
		if len(k.Config.Providers) != 1 || !slices.Equal(k.Config.Providers[0].MatchImages, []string{fact.Host}) {
			t.Errorf("%+v: %+v, %q", fact, k.Config.Providers, k.Stays)
		}
		if noted := strings.Contains(strings.Join(k.Notes, "\n"), "European Sovereign"); noted != strings.HasPrefix(fact.Region, "eusc-") {
			t.Errorf("%+v: %q", fact, k.Notes)
		}
	}
}

func TestWhatIsNotKnownStays(t *testing.T) {
	for name, c := range map[string]struct {
		entry v1alpha1.Registry
		want  string
	}{
		"no region":           {v1alpha1.Registry{ECR: &v1alpha1.ECR{Accounts: []string{"123456789012"}}}, "name its region and its accounts"},
		"no accounts":         {v1alpha1.Registry{ECR: &v1alpha1.ECR{Region: "eu-west-1"}}, "name its region and its accounts"},
		"no dual stack there": {v1alpha1.Registry{ECR: &v1alpha1.ECR{Region: "us-iso-east-1", Accounts: []string{"123456789012"}, DualStack: true}}, "no dual-stack registries"},
		"another cloud":       {v1alpha1.Registry{ACR: &v1alpha1.ACR{Registry: "acme.azurecr.example"}}, "none of Azure's own clouds"},
		"identity binding":    {v1alpha1.Registry{ACR: &v1alpha1.ACR{Registry: "acme.azurecr.io", IdentityBinding: true}, Identity: asPod}, "identity bindings"},
	} {
		if k := of(nil, c.entry); len(k.Config.Providers) != 0 || len(k.Stays) != 1 || !strings.Contains(k.Stays[0], c.want) {
			t.Errorf("%s: %+v, %q", name, k.Config.Providers, k.Stays)
		}
	}
}

func TestHostsThatTheControllerHasFound(t *testing.T) {
	const host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
	k := of([]v1alpha1.RegistryStatus{{Name: "b", Hosts: []string{"other.example"}}, {Name: "a", Hosts: []string{host}}}, v1alpha1.Registry{Name: "a", ECR: &v1alpha1.ECR{}})
	if len(k.Config.Providers) != 1 || !slices.Equal(k.Config.Providers[0].MatchImages, []string{host}) {
		t.Errorf("%+v, %q", k.Config.Providers, k.Stays)
	}
}

func TestAudiencesAreThoseOfAzuresClouds(t *testing.T) {
	for suffix, audience := range map[string]string{
		"azurecr.io": "api://AzureADTokenExchange", "azurecr.cn": "api://AzureADTokenExchangeChina", "azurecr.us": "api://AzureADTokenExchangeUSGov",
	} {
		k := of(nil, v1alpha1.Registry{Name: "a", Identity: asPod, ACR: &v1alpha1.ACR{Registry: v1alpha1.Host("acme." + suffix), Regions: []string{"north"}}})
		if len(k.Config.Providers) != 1 || k.Config.Providers[0].TokenAttributes.ServiceAccountTokenAudience != audience ||
			!slices.Equal(k.Config.Providers[0].MatchImages, []string{"acme." + suffix, "acme.north.geo." + suffix}) || !slices.Contains(k.Role.Rules[0].Resources, audience) {
			t.Errorf("%s: %+v", suffix, k)
		}
	}
}

// A kubelet gives a plugin one kind of identity: entries of others would be asked for with the wrong one.
func TestAPluginHasOneIdentity(t *testing.T) {
	acme := func(name string, host v1alpha1.Host, identity *v1alpha1.Identity) v1alpha1.Registry {
		return v1alpha1.Registry{Name: name, ACR: &v1alpha1.ACR{Registry: host}, Identity: identity}
	}
	k := of(nil, acme("pod", "a.azurecr.io", asPod), acme("same", "b.azurecr.io", asPod), acme("node", "c.azurecr.io", nil), acme("china", "d.azurecr.cn", asPod))
	if len(k.Config.Providers) != 1 || !slices.Equal(k.Config.Providers[0].MatchImages, []string{"a.azurecr.io", "b.azurecr.io"}) || len(k.Stays) != 2 {
		t.Errorf("%+v, %q", k.Config.Providers, k.Stays)
	}
}
