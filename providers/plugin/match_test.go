package plugin

import (
	"fmt"
	"testing"

	credentialprovider "k8s.io/kubelet/pkg/apis/credentialprovider/v1"
)

// The cases are those that the kubelet's documentation of matchImages names, and its tests.
func TestMatching(t *testing.T) {
	for _, c := range []struct {
		glob, image string
		want        bool
	}{
		{"registry.io", "registry.io/app", true},
		{"registry.io", "registry.io", true},
		{"registry.io", "registry.io:5000/app", false},
		{"registry.io:5000", "registry.io:5000/app", true},
		{"registry.io:5000", "registry.io/app", false},
		{"registry.io:8080/path", "registry.io:8080/path/app", true},
		{"registry.io:8080/path", "registry.io:8080/other/app", false},
		{"registry.io/team", "registry.io/team-b/app", true},
		{"registry.io/team/", "registry.io/team-b/app", false},
		{"*.azurecr.io", "my.azurecr.io/app", true},
		{"*.azurecr.io", "azurecr.io/app", false},
		{"*.azurecr.io", "a.b.azurecr.io/app", false},
		{"*.azurecr.io", "my.azurecr.io.evil.example/app", false},
		{"*.*.registry.io", "a.b.registry.io/app", true},
		{"k8s.*", "k8s.io/app", true},
		{"k8s.*.io", "k8s.gcr.io/app", true},
		{"app*.k8s.io", "app1.k8s.io/x", true},
		{"app*.k8s.io", "bapp.k8s.io/x", false},
		{"*.io", "a.k8s.io/x", false},
		{"*.dkr.ecr.*.amazonaws.com", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app", true},
		{"*.dkr.ecr.*.amazonaws.com", "123456789012.dkr.ecr.eu-west-1.amazonaws.com.cn/team/app", false},
	} {
		glob, err := parsePattern(c.glob)
		if err != nil {
			t.Fatal(err)
		}
		i, err := parseImage(c.image)
		if err != nil {
			t.Fatal(err)
		}
		if got := glob.matches(i.pattern); got != c.want {
			t.Errorf("%s and %s: %t, want %t", c.glob, c.image, got, c.want)
		}
	}
}

func TestTheMostSpecificKeyIsUsed(t *testing.T) {
	keys := func(all ...string) keyring {
		auth := map[string]credentialprovider.AuthConfig{}
		for _, k := range all {
			auth[k] = credentialprovider.AuthConfig{Username: k}
		}
		return newKeyring(auth)
	}
	for name, c := range map[string]struct {
		keys  keyring
		image string
		want  string
	}{
		"a path before none":            {keys("registry.io", "registry.io/team"), "registry.io/team/app", "registry.io/team"},
		"a longer path":                 {keys("registry.io/team", "registry.io/team/app"), "registry.io/team/app", "registry.io/team/app"},
		"a path of others":              {keys("registry.io", "registry.io/other"), "registry.io/team/app", "registry.io"},
		"a host before a glob":          {keys("*.azurecr.io", "my.azurecr.io"), "my.azurecr.io/app", "my.azurecr.io"},
		"the same in another order":     {keys("my.azurecr.io", "*.azurecr.io"), "my.azurecr.io/app", "my.azurecr.io"},
		"a key with a scheme":           {keys("https://registry.io"), "registry.io/app", "https://registry.io"},
		"a key of old docker configs":   {keys("https://registry.io/v1/"), "registry.io/app", "https://registry.io/v1/"},
		"an API version and a path":     {keys("registry.io/v2/team"), "registry.io/team/app", "registry.io/v2/team"},
		"Docker Hub":                    {keys("docker.io"), "docker.io/team/app", "docker.io"},
		"Docker Hub by its config key":  {keys("https://index.docker.io/v1/"), "docker.io/team/app", "https://index.docker.io/v1/"},
		"what is no key is passed over": {keys("%zz", "", "a b", "registry.io"), "registry.io/app", "registry.io"},
		"nothing":                       {keys("registry.io:5000", "other.io"), "registry.io/app", ""},
		"Docker Hub's key elsewhere":    {keys("https://index.docker.io/v1/"), "registry.io/app", ""},
	} {
		i, err := parseImage(c.image)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := c.keys.lookup(i.pattern); got.Username != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q, want %q", name, got.Username, c.want)
		}
	}
}

// A plugin's answer may be made of what a tenant's endpoint says, and an entry has up to 64 hosts.
func TestTheKeysOfAnAnswerAreParsedOnceHoweverManyHostsAreLookedUp(t *testing.T) {
	auth := map[string]credentialprovider.AuthConfig{}
	for n := range 10_000 {
		auth[fmt.Sprintf("r%d.example.com/team", n)] = credentialprovider.AuthConfig{Username: "u"}
	}
	ring, image := newKeyring(auth), pattern{"r1.example.com", "/team/app"}
	if allocations := testing.AllocsPerRun(10, func() {
		if _, ok := ring.lookup(image); !ok {
			t.Error("no login")
		}
	}); allocations > 100 {
		t.Errorf("%.0f allocations to look one host up among %d keys", allocations, len(auth))
	}
}
