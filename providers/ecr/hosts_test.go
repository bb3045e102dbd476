package ecr

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/regcred/regcred/api/v1alpha1"
)

func TestHosts(t *testing.T) {
	for _, c := range []struct {
		region string
		spec   v1alpha1.ECR
		want   string
	}{
		{"eu-west-1", v1alpha1.ECR{}, "123456789012.dkr.ecr.eu-west-1.amazonaws.com"},
		{"us-gov-west-1", v1alpha1.ECR{}, "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com"},
		{"us-gov-west-1", v1alpha1.ECR{FIPS: true}, "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com"},
		{"us-east-1", v1alpha1.ECR{FIPS: true, DualStack: true}, "123456789012.dkr-ecr-fips.us-east-1.on.aws"},
		{"us-east-1", v1alpha1.ECR{DualStack: true}, "123456789012.dkr-ecr.us-east-1.on.aws"},
		{"cn-north-1", v1alpha1.ECR{}, "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"},
		{"cn-north-1", v1alpha1.ECR{DualStack: true}, "123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn"},
		{"eusc-de-east-1", v1alpha1.ECR{}, "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu"},
		{"us-iso-east-1", v1alpha1.ECR{}, "123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov"},
		{"us-isob-east-1", v1alpha1.ECR{}, "123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov"},
		{"us-isof-south-1", v1alpha1.ECR{}, "123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov"},
		{"eu-isoe-west-1", v1alpha1.ECR{}, "123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk"},
	} {
		c.spec.Accounts = []string{"123456789012"}
		got, err := hosts(&c.spec, c.region, "")
		if err != nil {
			t.Errorf("%s: %v", c.region, err)
		}
		if diff := cmp.Diff([]string{c.want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.region, diff)
		}
	}
	if got, err := hosts(&v1alpha1.ECR{Accounts: []string{"123456789012"}, DualStack: true}, "us-iso-east-1", ""); err == nil {
		t.Errorf("an isolated region has no dual-stack hosts, got %v", got)
	}
}

// A region's token is worth nothing in another region, and must not be published for it.
func TestHostsAreThoseOfOneRegion(t *testing.T) {
	got, err := hosts(&v1alpha1.ECR{}, "eu-west-1", "https://123456789012.dkr.ecr.us-east-1.amazonaws.com")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"123456789012.dkr.ecr.eu-west-1.amazonaws.com"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
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
