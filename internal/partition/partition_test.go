package partition

import "testing"

// What is made of a registry is read back as it, in every partition, and is of no other.
func TestECRHostsOfEveryPartition(t *testing.T) {
	for _, region := range []string{"eu-west-1", "cn-north-1", "eusc-de-east-1", "us-gov-west-1", "us-iso-east-1", "us-isob-east-1", "us-isof-south-1", "eu-isoe-west-1"} {
		p := OfRegion(region)
		for _, want := range []ECRRegistry{
			{"123456789012", region, false, false}, {"123456789012", region, true, false}, {"123456789012", region, false, true}, {"123456789012", region, true, true},
		} {
			host := p.ECRHost(want.Account, want.Region, want.FIPS, want.DualStack)
			got, ok := OfECRHost(host)
			if served := !want.DualStack || p.DualStack != ""; ok && got != want || ok != served {
				t.Errorf("%s: %+v, %t", host, got, ok)
			}
		}
	}
	for _, host := range []string{
		"123456789012.dkr.ecr.eu-west-1.amazonaws.com.cn", "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.com", "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example",
		"12345.dkr.ecr.eu-west-1.amazonaws.com", "123456789012.dkr-ecr.us-iso-east-1.", "public.ecr.aws", "",
	} {
		if got, ok := OfECRHost(host); ok {
			t.Errorf("%s: %+v", host, got)
		}
	}
}

func TestACRHosts(t *testing.T) {
	for host, want := range map[string]bool{
		"acme.azurecr.io": true, "acme.azurecr.cn": true, "acme.azurecr.us": true, "acme.eastus.geo.azurecr.io": true, "acme.eastus.data.azurecr.io": true,
		"azurecr.io": false, ".azurecr.io": false, "a.b.azurecr.io": false, "acme.azurecr.io.evil.example": false, "acme.azurecr.de": false, "$(id).azurecr.io": false,
	} {
		if got := IsACRHost(host); got != want {
			t.Errorf("%s: %t", host, got)
		}
	}
}
