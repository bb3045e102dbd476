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

func TestAnyDifferenceInWhatATokenIsMadeFromIsPartOfTheSource(t *testing.T) {
	base := request("eu-west-1")
	base.Identity.ServiceAccount = &providers.ServiceAccount{Namespace: "a", Name: "puller", UID: "1", Annotations: map[string]string{"role": "x"}}
	secret := request("eu-west-1")
	secret.Identity.Secret = &providers.Secret{Namespace: "a", Name: "keys", DataHash: "7"}
	cases := map[string]struct {
		from   providers.Request
		change func(*providers.Request)
	}{
		"region":      {base, func(r *providers.Request) { r.Registry.ECR = &v1alpha1.ECR{Region: "eu-west-2"} }},
		"role":        {base, func(r *providers.Request) { r.Registry.ECR = &v1alpha1.ECR{Region: "eu-west-1", RoleARN: "arn"} }},
		"external ID": {base, func(r *providers.Request) { r.Registry.ECR = &v1alpha1.ECR{Region: "eu-west-1", ExternalID: "id"} }},
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
		"Secret content": {secret, func(r *providers.Request) {
			s := *r.Identity.Secret
			s.DataHash = "8"
			r.Identity.Secret = &s
		}},
		"Secret namespace": {secret, func(r *providers.Request) {
			s := *r.Identity.Secret
			s.Namespace = "b"
			r.Identity.Secret = &s
		}},
		"trial": {base, func(r *providers.Request) { r.Registry.Verify = &v1alpha1.Verify{Repository: "a"} }},
	}
	for name, c := range cases {
		changed := c.from
		c.change(&changed)
		if changed.Source() == c.from.Source() {
			t.Errorf("%s: the change is not part of the source", name)
		}
	}
}

func TestWhatChangesNoTokenIsNoPartOfTheSource(t *testing.T) {
	base := request("eu-west-1")
	for name, change := range map[string]func(*providers.Request){
		"name":       func(r *providers.Request) { r.Registry.Name = "another" },
		"refresh":    func(r *providers.Request) { r.RefreshStamp = "now" },
		"tenant":     func(r *providers.Request) { r.Tenant = "team" },
		"urgency":    func(r *providers.Request) { r.Urgency = 7 },
		"percentage": func(r *providers.Request) { r.Registry.RenewBeforePercentage = 30 },
		"override":   func(r *providers.Request) { r.Registry.Override = &v1alpha1.Override{} },
		"seal":       func(r *providers.Request) { *r = r.Sealed() },
	} {
		changed := base
		if change(&changed); changed.Source() != base.Source() {
			t.Errorf("%s: two calls for one token", name)
		}
	}
}

func TestTheHashOfDataTellsContentsApart(t *testing.T) {
	seen := map[string]string{}
	for name, data := range map[string]map[string][]byte{
		"nothing": {}, "empty": {"a": {}}, "one": {"a": []byte("b")}, "two": {"a": []byte("b"), "c": []byte("d")},
		"run together": {"a": []byte("b\"c\" 1\nd")}, "another key": {"b": []byte("b")}, "exchanged": {"a": []byte("d"), "c": []byte("b")},
	} {
		hash := providers.HashData(data)
		if other, ok := seen[hash]; ok {
			t.Errorf("%s and %s are the same", name, other)
		}
		if seen[hash] = name; hash != providers.HashData(data) {
			t.Errorf("%s: not the same twice", name)
		}
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
