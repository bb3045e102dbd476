package static_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers/providertest"
	"github.com/regcred/regcred/test/cloud"
)

// Every value below holds the canary, so that an error which shows any of them is found out.
func TestBadSourcesAreExplainedWithoutBeingShown(t *testing.T) {
	raw := func(text string) map[string]string { return map[string]string{".dockerconfigjson": text} }
	many := map[string]string{}
	for i := range 65 {
		many[fmt.Sprintf("r%d.example", i)] = auth("ci")
	}
	crowd := map[string]string{}
	for i := range 1025 {
		crowd[fmt.Sprintf("r%d.example", i)] = auth(fmt.Sprint("u", i))
	}
	hub := v1alpha1.Static{Host: "docker.io"}
	for name, c := range map[string]struct {
		spec   v1alpha1.Static
		data   map[string]string
		reason string
		says   []string
	}{
		"no keys":     {hub, map[string]string{"token": canary}, "", []string{"lacks the keys username and password, or .dockerconfigjson"}},
		"no username": {hub, map[string]string{"password": canary}, "", []string{"lacks the key username"}},
		"no password": {hub, map[string]string{"username": canary, "password": "\n"}, "", []string{"lacks the key password"}},
		"colon":       {hub, map[string]string{"username": canary + ":x", "password": canary}, "", []string{"username", "colon"}},
		"no host": {
			v1alpha1.Static{}, map[string]string{"username": canary, "password": canary}, v1alpha1.ReasonInvalidRequest, []string{"static.host is needed"},
		},
		"host that is none": {
			v1alpha1.Static{Host: "https://" + canary}, map[string]string{"username": canary, "password": canary},
			v1alpha1.ReasonInvalidRequest, []string{"without scheme"},
		},
		"both": {
			hub, map[string]string{"username": canary, "password": canary, ".dockerconfigjson": canary}, "", []string{".dockerconfigjson and username", "remove all but those of one kind"},
		},
		"both configs": {
			v1alpha1.Static{}, map[string]string{".dockercfg": canary, ".dockerconfigjson": canary}, "", []string{".dockerconfigjson and .dockercfg"},
		},
		"no legacy JSON":    {v1alpha1.Static{}, map[string]string{".dockercfg": canary}, "", []string{".dockercfg", "is not the JSON of a legacy docker config"}},
		"newer in legacy":   {v1alpha1.Static{}, map[string]string{".dockercfg": `{"auths":{"docker.io":{"auth":"` + canary + `"}}}`}, "", []string{"put it under the key .dockerconfigjson"}},
		"lines":             {hub, map[string]string{"username": "ci", "password": canary + "\n\n"}, "", []string{"the key password of", "more than one line"}},
		"byte order mark":   {hub, map[string]string{"username": "\ufeffci", "password": canary}, "", []string{"the key username of", "byte order mark"}},
		"UTF-16":            {hub, map[string]string{"username": "ci", "password": "\xff\xfec\x00"}, "", []string{"the key password of", "UTF-16"}},
		"BOM before a file": {hub, raw("\ufeff" + config(map[string]string{"docker.io": auth("a")})[".dockerconfigjson"]), "", []string{"the key .dockerconfigjson of", "byte order mark"}},
		"NUL in a password": {hub, config(map[string]string{"docker.io": `{"username":"a","password":"` + canary + `\u0000"}`}), "", []string{"the password of docker.io in .dockerconfigjson of", "NUL"}},
		"tab in a username": {hub, config(map[string]string{"docker.io": `{"username":"a\tb","password":"` + canary + `"}`}), "", []string{"the username of docker.io", "control character"}},
		"lines in an auth":  {hub, config(map[string]string{"docker.io": `{"auth":"` + encoded("a:"+canary+"\n\n") + `"}`}), "", []string{"the password of docker.io", "more than one line"}},
		"no JSON":           {hub, raw(canary), "", []string{".dockerconfigjson", "is not the JSON of a docker config"}},
		"cut JSON":          {hub, raw(`{"auths":{"docker.io":{"auth":"` + canary), "", []string{"is not the JSON of a docker config"}},
		"auths is text":     {hub, raw(`{"auths":"` + canary + `"}`), "", []string{"is not the JSON of a docker config"}},
		"no auths":          {hub, raw(`{"credsStore":"` + canary + `"}`), "", []string{"has no auths"}},
		"empty auths":       {v1alpha1.Static{}, raw(`{"auths":{}}`), "", []string{"has no auths"}},
		"state only":        {v1alpha1.Static{}, config(map[string]string{hubAccess: auth("a")}), "", []string{"no auths for a registry"}},
		"host not there":    {hub, config(map[string]string{"quay.io": auth("a")}), "", []string{"has no entry for docker.io", "correct static.host"}},
		"state chosen":      {hub, config(map[string]string{hubAccess: auth("a")}), "", []string{"has no entry for docker.io"}},
		"entry is text":     {hub, config(map[string]string{"docker.io": `"` + canary + `"`}), "", []string{"docker.io", "is not that of a docker config"}},
		"entry is null":     {hub, config(map[string]string{"docker.io": `null`}), "", []string{"docker.io", "lacks username and password"}},
		"entry is empty":    {hub, config(map[string]string{"docker.io": `{}`}), "", []string{"credential store", "kubectl create secret docker-registry"}},
		"identity token": {
			v1alpha1.Static{}, config(map[string]string{"quay.io": `{"username":"a","identitytoken":"` + canary + `"}`}), "", []string{"quay.io", "token of a docker login"},
		},
		"registry token":  {hub, config(map[string]string{"docker.io": `{"registrytoken":"` + canary + `"}`}), "", []string{"token of a docker login"}},
		"auth no base64":  {hub, config(map[string]string{"docker.io": `{"auth":"` + canary + `!"}`}), "", []string{"auth of docker.io", "not base64"}},
		"auth no colon":   {hub, config(map[string]string{"docker.io": `{"auth":"Y2FuYXJ5LXJlZ2NyZWQt"}`}), "", []string{"auth of docker.io"}},
		"number":          {hub, config(map[string]string{"docker.io": `{"username":"` + canary + `","password":1}`}), "", []string{"docker.io"}},
		"colon in config": {hub, config(map[string]string{"docker.io": `{"username":"` + canary + `:","password":"x"}`}), "", []string{"colon"}},
		"odd key":         {v1alpha1.Static{}, config(map[string]string{"user:" + canary + "@quay.io": auth("a")}), "", []string{"no registry host", "static.hosts"}},
		"two for one": {
			v1alpha1.Static{}, config(map[string]string{"docker.io": auth("a"), "https://index.docker.io/v1/": auth("b")}), "",
			[]string{"two different entries for docker.io"},
		},
		"too many":     {v1alpha1.Static{}, config(many), "", []string{"65 hosts", "64"}},
		"far too many": {v1alpha1.Static{Host: "r1.example"}, config(crowd), "", []string{"1025 entries", "1024"}},
		"expired": {
			hub, map[string]string{"username": "a", "password": signed(-time.Minute)}, "", []string{"docker.io", "expired at 2031-05-04T09:59:00Z", "replace it"},
		},
		"expired now": {hub, map[string]string{"username": "a", "password": signed(0)}, "", []string{"expired at"}},
		"one of two expired": {
			v1alpha1.Static{}, config(map[string]string{"a.example": auth("a"), "b.example": `{"username":"b","password":"` + signed(-time.Minute) + `"}`}), "",
			[]string{"b.example", "choose other hosts"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := c.reason
			if want == "" {
				want = v1alpha1.ReasonIdentityInvalid
			}
			_, err := ask(t, c.spec, c.data)
			if reason(err) != want {
				t.Fatalf("got %s (%v), want %s", reason(err), err, want)
			}
			providertest.Documented(t, err, "static.md")
			if want == v1alpha1.ReasonIdentityInvalid {
				c.says = append(c.says, "Secret team-a/source")
			}
			for _, words := range c.says {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%q does not say %q", err, words)
				}
			}
			if cloud.ContainsCanary(fmt.Appendf(nil, "%v %+v %#v", err, err, err)) {
				t.Error("the error shows a secret")
			}
		})
	}
}

const hubAccess = "https://index.docker.io/v1/access-token"
