package cloud

import (
	"net"
	"testing"

	"github.com/regcred/regcred/test/cloud/facts"
)

// The emulators answer at the hosts that the clouds have, and at no other.

func TestAWSHasItsRealNames(t *testing.T) {
	aws := startAWS(t, Options{})
	for _, fact := range facts.AWSEndpoints {
		if _, ok := aws.internet.route(fact.Host); !ok {
			t.Errorf("%s of %s is not there", fact.Host, fact.Service)
		}
	}
	for _, fact := range facts.ECRHosts {
		if _, region, ok := parseECRHost(fact.Host); !ok || region != fact.Region {
			t.Errorf("%s is no registry in %s", fact.Host, fact.Region)
		}
	}
	for _, host := range []string{
		"api.ecr-fips.us-east-1.amazonaws.com", "ecr-fips.eu-west-1.amazonaws.com", "sts-fips.eu-west-1.amazonaws.com", "sts.eu-west-1.api.amazonaws.com",
		"api.ecr.eu-west-1.amazonaws.com.cn", "api.ecr.cn-north-1.amazonaws.com", "api.sts.eu-west-1.amazonaws.com", "ecr.eu-west-1.api.aws.evil.example",
		"vpce-0a-b.api.ecr.eu-west-1.vpce.amazonaws.com.evil.example",
	} {
		if _, ok := aws.internet.route(host); ok {
			t.Errorf("%s is there, and AWS does not have it", host)
		}
	}
	if _, ok := aws.internet.route(facts.AWSVPCEndpoint); !ok {
		t.Errorf("%s is not there", facts.AWSVPCEndpoint)
	}
}

func TestGoogleHasItsRealHosts(t *testing.T) {
	google := startGoogle(t, GoogleOptions{})
	for _, host := range append(facts.GoogleHosts, facts.GoogleUniverse.Hosts...) {
		if _, ok := google.internet.route(host); !ok {
			t.Errorf("%s is not there", host)
		}
	}
	for _, host := range []string{"docker.pkg.dev", "docker.rep.pkg.dev", "k8s.gcr.io", "docker.europe.rep.pkg.dev", "europe-west1-docker.rep.pkg.dev"} {
		if _, ok := google.internet.route(host); ok {
			t.Errorf("%s is there, and Google does not have it", host)
		}
	}
}

func TestJFrogHasTheHostsOfItsForms(t *testing.T) {
	for form, fact := range facts.JFrogHosts {
		j := startJFrog(t, JFrogOptions{Host: fact.URL[len("https://"):]})
		host, port, err := net.SplitHostPort(fact.Host)
		if err != nil {
			host = fact.Host
		}
		if !j.isHost(host) {
			t.Errorf("%s: %s is not there", form, fact.Host)
		}
		if repository, ok := j.subDomain(host); ok && repository != fact.Repository {
			t.Errorf("%s: %s is of %s, want %s", form, fact.Host, repository, fact.Repository)
		}
		if port == "" && j.isHost("other."+j.options.Host) == (j.options.Host == DefaultJFrogHost) {
			t.Errorf("%s: a label below the platform's host is only one on a domain of one's own", form)
		}
	}
}

func TestAzureHasItsClouds(t *testing.T) {
	for _, fact := range facts.AzureClouds {
		if got := "https://" + azureAuthorityOf("myregistry."+fact.Suffix) + "/"; got != fact.Authority {
			t.Errorf("registries at %s trust %s, want %s", fact.Suffix, got, fact.Authority)
		}
	}
}
