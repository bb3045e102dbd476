package ecr

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud/facts"
)

func TestHosts(t *testing.T) {
	for _, fact := range facts.ECRHosts {
		spec := &v1alpha1.ECR{FIPS: fact.FIPS, DualStack: fact.DualStack, Accounts: []string{"123456789012"}}
		got, err := hosts(spec, fact.Region, "")
		if err != nil {
			t.Errorf("%s: %v", fact.Region, err)
		}
		if diff := cmp.Diff([]string{fact.Host}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", fact.Region, diff)
		}
	}
	if got, err := hosts(&v1alpha1.ECR{Accounts: []string{"123456789012"}, DualStack: true}, "us-iso-east-1", ""); err == nil {
		t.Errorf("an isolated region has no dual-stack hosts, got %v", got)
	}
}

// A partition that is newer than this code has a suffix that ECR itself names.
func TestTheSuffixIsWhatECRSays(t *testing.T) {
	got, err := hosts(&v1alpha1.ECR{Accounts: []string{"210987654321"}, FIPS: true}, "xx-north-1", "https://123456789012.dkr.ecr.xx-north-1.amazonaws.example")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"210987654321.dkr.ecr-fips.xx-north-1.amazonaws.example"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A region's token is worth nothing in another region, and must not be published for it.
func TestHostsAreThoseOfOneRegion(t *testing.T) {
	for _, other := range []string{"us-east-1.amazonaws.com", "cn-north-1.amazonaws.com.cn"} {
		got, err := hosts(&v1alpha1.ECR{}, "eu-west-1", "https://123456789012.dkr.ecr."+other)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"123456789012.dkr.ecr.eu-west-1.amazonaws.com"}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", other, diff)
		}
	}
}

func TestAnOddProxyEndpointIsRefused(t *testing.T) {
	for _, endpoint := range []string{
		"", "https://", "https://registry.example", "https://12345678901.dkr.ecr.eu-west-1.amazonaws.com",
		"https://evil.example/123456789012.dkr.ecr.eu-west-1.amazonaws.com", "https://x123456789012.dkr.ecr.eu-west-1.amazonaws.com",
		"https://123456789012.dkrXecr.eu-west-1.amazonaws.com", "://",
	} {
		if got, err := hosts(&v1alpha1.ECR{}, "eu-west-1", endpoint); err == nil {
			t.Errorf("%q gave %v", endpoint, got)
		}
	}
}
