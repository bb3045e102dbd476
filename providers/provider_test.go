package providers_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

func request(region string) providers.Request {
	return providers.Request{Registry: v1alpha1.Registry{Name: "prod", ECR: &v1alpha1.ECR{Region: region}}}
}

func TestAnyDifferenceInTheRequestMissesTheMemory(t *testing.T) {
	base := request("eu-west-1")
	base.Identity.ServiceAccount = &providers.ServiceAccount{Namespace: "a", Name: "puller", UID: "1", Annotations: map[string]string{"role": "x"}}
	secret := request("eu-west-1")
	secret.Identity.Secret = &providers.Secret{Namespace: "a", Name: "keys", UID: "1", ResourceVersion: "7"}
	cases := map[string]struct {
		from   providers.Request
		change func(*providers.Request)
	}{
		"region":      {base, func(r *providers.Request) { r.Registry.ECR = &v1alpha1.ECR{Region: "eu-west-2"} }},
		"role":        {base, func(r *providers.Request) { r.Registry.ECR = &v1alpha1.ECR{Region: "eu-west-1", RoleARN: "arn"} }},
		"external ID": {base, func(r *providers.Request) { r.Registry.ECR = &v1alpha1.ECR{Region: "eu-west-1", ExternalID: "id"} }},
		"refresh":     {base, func(r *providers.Request) { r.RefreshRequestedAt = "now" }},
		"no identity": {base, func(r *providers.Request) { r.Identity = providers.Identity{} }},
		"ServiceAccount UID": {base, func(r *providers.Request) {
			sa := *r.Identity.ServiceAccount
			sa.UID = "2"
			r.Identity.ServiceAccount = &sa
		}},
		"ServiceAccount namespace": {base, func(r *providers.Request) {
			sa := *r.Identity.ServiceAccount
			sa.Namespace = "b"
			r.Identity.ServiceAccount = &sa
		}},
		"ServiceAccount annotation": {base, func(r *providers.Request) {
			sa := *r.Identity.ServiceAccount
			sa.Annotations = map[string]string{"role": "y"}
			r.Identity.ServiceAccount = &sa
		}},
		"Secret version": {secret, func(r *providers.Request) {
			s := *r.Identity.Secret
			s.ResourceVersion = "8"
			r.Identity.Secret = &s
		}},
		"Secret UID": {secret, func(r *providers.Request) {
			s := *r.Identity.Secret
			s.UID = "2"
			r.Identity.Secret = &s
		}},
	}
	for name, c := range cases {
		changed := c.from
		c.change(&changed)
		if changed.Key() == c.from.Key() {
			t.Errorf("%s: the change is not part of the key", name)
		}
		if name != "refresh" && changed.Source() == c.from.Source() {
			t.Errorf("%s: the change is not part of the source", name)
		}
		if name == "refresh" && changed.Source() != c.from.Source() {
			t.Error("a refresh request changes what a token is made from")
		}
	}
}

func TestEntriesThatDifferInNameAloneShareAToken(t *testing.T) {
	one, two := request("eu-west-1"), request("eu-west-1")
	two.Registry.Name = "another"
	if one.Key() != two.Key() || one.Source() != two.Source() {
		t.Error("the same request of two credentials would cost two calls")
	}
}

func TestSensitiveIsNeverWrittenOut(t *testing.T) {
	password := providers.Sensitive("canary")
	token := providers.Token{Logins: []providers.Login{{Username: "AWS", Password: password}}}
	for _, text := range []string{fmt.Sprint(token), fmt.Sprintf("%v %+v %#v %s %q %x", token, token, token, password, password, password)} {
		if strings.Contains(text, "canary") || strings.Contains(text, fmt.Sprintf("%x", "canary")) {
			t.Errorf("the password shows in %q", text)
		}
	}
	if password.Reveal() != "canary" {
		t.Error("the password is lost")
	}
}
