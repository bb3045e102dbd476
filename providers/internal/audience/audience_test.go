package audience_test

import (
	"regexp"
	"testing"

	"github.com/regcred/regcred/providers/internal/audience"
)

func TestAnAudienceHasOneOwner(t *testing.T) {
	for text, want := range map[string]audience.Owner{
		"sts.amazonaws.com": audience.AWS, "sts.amazonaws.com.cn": audience.AWS, "pods.eks.amazonaws.com": audience.AWS,
		"api://AzureADTokenExchange": audience.Azure, "api://AzureADTokenExchangeUSGov": audience.Azure, "api://AKSIdentityBinding": audience.Azure,
		"https://containerregistry.azure.net/.default": audience.Azure,
		"my-project.svc.id.goog":                       audience.Google, "example.com:my-project.svc.id.goog": audience.Google,
		"//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/cluster":       audience.Google,
		"https://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/cluster": audience.Google,
		"https://kubernetes.default.svc": audience.Kubernetes, "https://kubernetes.default.svc.cluster.local": audience.Kubernetes, "api": audience.Kubernetes,
		"https://container.googleapis.com/v1/projects/p/locations/l/clusters/c": audience.Kubernetes,
		"": "", "jfrog": "", "https://acme.jfrog.io": "", "sts.amazonaws.com.evil.example": "", "xsts.amazonaws.com": "", "stsxamazonaws.com": "",
	} {
		if got := audience.OwnerOf(text); got != want {
			t.Errorf("%q is of %q, want %q", text, got, want)
		}
	}
}

func TestWhatIsAskedForIsReserved(t *testing.T) {
	asked := map[audience.Owner][]string{
		audience.AWS:   {"sts.amazonaws.com", "sts.amazonaws.com.cn"},
		audience.Azure: {"api://AzureADTokenExchange", "api://AzureADTokenExchangeChina", "api://AzureADTokenExchangeUSGov", "api://AKSIdentityBinding"},
		audience.Google: {
			"https://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/cluster", "my-project.svc.id.goog",
		},
	}
	for owner, expressions := range audience.Of {
		for _, e := range expressions {
			if e[0] != '^' || e[len(e)-1] != '$' {
				t.Errorf("%s is not anchored", e)
			}
			matched := false
			for _, a := range asked[owner] {
				matched = matched || regexp.MustCompile(e).MatchString(a)
			}
			if !matched {
				t.Errorf("%s admits nothing that is asked for", e)
			}
		}
		for _, a := range asked[owner] {
			if audience.OwnerOf(a) != owner {
				t.Errorf("%s is not reserved for %s", a, owner)
			}
		}
	}
}
