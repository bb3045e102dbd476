package plugin

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeletconfig "k8s.io/kubelet/config/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/providertest"
	"github.com/regcred/regcred/test/cloud"
)

var clockStart = time.Date(2026, time.November, 1, 12, 0, 0, 0, time.UTC)

// secret starts what no error may show.
const secret = cloud.Canary + "x"

// configure sets up the fake plugin, as the name "fake".
func configure(t *testing.T, config kubeletconfig.CredentialProvider, env map[string]string) *Provider {
	t.Helper()
	config.Name, config.APIVersion = "fake", "credentialprovider.kubelet.k8s.io/v1"
	if config.MatchImages == nil {
		config.MatchImages = []string{"*.registry.io", "docker.io"}
	}
	if config.DefaultCacheDuration == nil {
		config.DefaultCacheDuration = &metav1.Duration{Duration: 10 * time.Minute}
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		config.Env = append(config.Env, kubeletconfig.ExecEnvVar{Name: name, Value: env[name]})
	}
	raw, err := json.Marshal(kubeletconfig.CredentialProviderConfig{
		TypeMeta:  metav1.TypeMeta{APIVersion: "kubelet.config.k8s.io/v1", Kind: "CredentialProviderConfig"},
		Providers: []kubeletconfig.CredentialProvider{config},
	})
	if err != nil {
		t.Fatal(err)
	}
	dir, bin := files(t, map[string]string{"plugins.json": string(raw)}, "fake")
	p, err := New(dir, bin, clocktesting.NewFakePassiveClock(clockStart))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// answer is what a healthy plugin prints.
func answer(fields string) string {
	return `{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderResponse","cacheKeyType":"Registry",` + fields + `}`
}

func answering(text string) map[string]string {
	return map[string]string{fakeDoes: "answer", fakeAnswer: text}
}

func request(image string, id providers.Identity, hosts ...v1alpha1.Host) providers.Request {
	return providers.Request{
		Registry: v1alpha1.Registry{Name: "prod", Plugin: &v1alpha1.Plugin{Name: "fake", Image: image, Hosts: hosts}}, Identity: id,
	}
}

// reason is that of an error, which must have a row on the provider's page.
func reason(t *testing.T, err error) string {
	t.Helper()
	known, ok := errors.AsType[*providers.Error](err)
	if !ok {
		return ""
	}
	if known.Reason != v1alpha1.ReasonIdentityNotFound { // which is Kubernetes' own
		providertest.Documented(t, err, "plugin.md")
	}
	return known.Reason
}

func TestThePluginIsToldWhatTheKubeletWouldTellIt(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	t.Setenv("HTTPS_PROXY", "http://proxy.example:3128")
	t.Setenv("SSL_CERT_DIR", "/not/this")
	path := filepath.Join(t.TempDir(), "observed")
	env := answering(answer(`"auth":{"*.registry.io":{"username":"u","password":"p"}}`))
	env[fakeObserved], env["SSL_CERT_DIR"] = path, "/but/this"
	p := configure(t, kubeletconfig.CredentialProvider{Args: []string{"get-credentials", "--v=1; rm -rf $HOME"}}, env)
	if _, err := p.Token(t.Context(), request("a.registry.io/team/app:v1@sha256:0123", providers.Identity{})); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got observed
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"get-credentials", "--v=1; rm -rf $HOME"}, got.Args); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	const input = `{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"a.registry.io/team/app"}`
	if diff := cmp.Diff(input, strings.TrimSpace(got.Input)); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	seen := map[string]string{}
	for _, v := range got.Env {
		name, value, _ := strings.Cut(v, "=")
		seen[name] = value
	}
	for name, want := range env {
		if seen[name] != want {
			t.Errorf("%s is %q, want %q", name, seen[name], want)
		}
	}
	if seen["HTTPS_PROXY"] != "http://proxy.example:3128" {
		t.Error("it does not know the proxy of the controller")
	}
	for name := range seen {
		if _, configured := env[name]; !configured && !slices.Contains(inherited, name) {
			t.Errorf("it gets %s", name)
		}
	}
}

func TestHostsAreThoseThatTheAnswerCovers(t *testing.T) {
	type login struct {
		Username, Password string
		Hosts              []string
	}
	for name, c := range map[string]struct {
		auth  string
		image string
		hosts []v1alpha1.Host
		want  []login
		says  string
	}{
		"the image's host": {
			auth: `{"a.registry.io":{"username":"u","password":"p"}}`, image: "a.registry.io/team/app",
			want: []login{{"u", "p", []string{"a.registry.io"}}},
		},
		"a glob covers several": {
			auth: `{"*.registry.io":{"username":"u","password":"p"}}`, image: "a.registry.io/team/app", hosts: []v1alpha1.Host{"b.registry.io", "a.registry.io"},
			want: []login{{"u", "p", []string{"a.registry.io", "b.registry.io"}}},
		},
		"credentials of their own": {
			auth:  `{"*.registry.io":{"username":"u","password":"p"},"b.registry.io":{"username":"b","password":"q"}}`,
			image: "a.registry.io", hosts: []v1alpha1.Host{"b.registry.io", "c.registry.io"},
			want: []login{{"u", "p", []string{"a.registry.io", "c.registry.io"}}, {"b", "q", []string{"b.registry.io"}}},
		},
		"a path of the image's": {
			auth: `{"a.registry.io/team":{"username":"u","password":"p"}}`, image: "a.registry.io/team/app",
			want: []login{{"u", "p", []string{"a.registry.io"}}},
		},
		"Docker Hub": {
			auth: `{"https://index.docker.io/v1/":{"username":"u","password":"p"}}`, image: "docker.io/team/app",
			want: []login{{"u", "p", []string{"docker.io"}}},
		},
		"another host is not covered": {
			auth: `{"a.registry.io":{"username":"u","password":"p"}}`, image: "a.registry.io/team/app", hosts: []v1alpha1.Host{"b.registry.io"},
			says: "without credentials for b.registry.io",
		},
		"a path does not cover another host": {
			auth: `{"*.registry.io/team":{"username":"u","password":"p"}}`, image: "a.registry.io/team/app", hosts: []v1alpha1.Host{"b.registry.io"},
			says: "without credentials for b.registry.io",
		},
		"the image's host is not covered": {
			auth: `{"other.io":{"username":"u","password":"` + secret + `"}}`, image: "a.registry.io/team/app", says: "without credentials for a.registry.io",
		},
		"no password": {
			auth: `{"a.registry.io":{"username":"u","password":""}}`, image: "a.registry.io/team/app", says: "an empty password for a.registry.io",
		},
		"a username that a Secret cannot hold": {
			auth: `{"a.registry.io":{"username":"u:v","password":"p"}}`, image: "a.registry.io/team/app", says: "a colon in it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := configure(t, kubeletconfig.CredentialProvider{}, answering(answer(`"auth":`+c.auth)))
			token, err := p.Token(t.Context(), request(c.image, providers.Identity{}, c.hosts...))
			if c.says != "" {
				if reason(t, err) != v1alpha1.ReasonInvalidResponse || !strings.Contains(err.Error(), c.says) {
					t.Errorf("got %s: %v, want InvalidResponse that says %q", reason(t, err), err, c.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []login
			for _, l := range token.Logins {
				got = append(got, login{l.Username, l.Password.Reveal(), l.Hosts})
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// webToken is a JSON Web Token; a claim of 0 is absent.
func webToken(t *testing.T, issued, expires time.Duration) string {
	t.Helper()
	claims := jwt.RegisteredClaims{Subject: secret}
	if issued != 0 {
		claims.IssuedAt = jwt.NewNumericDate(clockStart.Add(issued))
	}
	if expires != 0 {
		claims.ExpiresAt = jwt.NewNumericDate(clockStart.Add(expires))
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte("key"))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestExpiry(t *testing.T) {
	hour := &metav1.Duration{Duration: time.Hour}
	for name, c := range map[string]struct {
		byDefault *metav1.Duration
		duration  string // of the answer
		passwords []string
		want      time.Duration
	}{
		"cacheDuration":                        {duration: `"cacheDuration":"6h0m0s",`, passwords: []string{"p"}, want: 6 * time.Hour},
		"defaultCacheDuration":                 {byDefault: hour, passwords: []string{"p"}, want: time.Hour},
		"cacheDuration before the default":     {byDefault: hour, duration: `"cacheDuration":"5m",`, passwords: []string{"p"}, want: 5 * time.Minute},
		"cacheDuration 0 is no time":           {duration: `"cacheDuration":"0s",`, passwords: []string{"p"}},
		"a negative one neither":               {duration: `"cacheDuration":"-1s",`, passwords: []string{"p"}},
		"no default":                           {byDefault: &metav1.Duration{}, passwords: []string{"p"}},
		"the token's own, later":               {duration: `"cacheDuration":"90m",`, passwords: []string{webToken(t, -time.Minute, 3*time.Hour)}, want: 3 * time.Hour},
		"the token's own, earlier":             {duration: `"cacheDuration":"6h",`, passwords: []string{webToken(t, 0, time.Hour)}, want: time.Hour},
		"the token's own, of no cacheDuration": {duration: `"cacheDuration":"0s",`, passwords: []string{webToken(t, 0, time.Hour)}, want: time.Hour},
		"a token without expiry":               {duration: `"cacheDuration":"6h",`, passwords: []string{webToken(t, 0, 0)}, want: 6 * time.Hour},
		"a clock that is ahead":                {passwords: []string{webToken(t, 20*time.Minute, 80*time.Minute)}, want: time.Hour},
		"a clock that is ahead by seconds":     {passwords: []string{webToken(t, 30*time.Second, time.Hour)}, want: time.Hour},
		"an algorithm that is unknown": {
			passwords: []string{strings.Replace(webToken(t, 0, time.Hour), jwtHeader(t, "HS256"), jwtHeader(t, "ES999"), 1)}, want: time.Hour,
		},
		"the first of several": {
			duration: `"cacheDuration":"6h",`, passwords: []string{"p", webToken(t, 0, 2*time.Hour), webToken(t, 0, 3*time.Hour)}, want: 2 * time.Hour,
		},
	} {
		t.Run(name, func(t *testing.T) {
			hosts := []v1alpha1.Host{"a.registry.io", "b.registry.io", "c.registry.io"}[:len(c.passwords)]
			var auth []string
			for i, password := range c.passwords {
				auth = append(auth, `"`+string(hosts[i])+`":{"username":"u","password":"`+password+`"}`)
			}
			p := configure(t, kubeletconfig.CredentialProvider{DefaultCacheDuration: c.byDefault},
				answering(answer(c.duration+`"auth":{`+strings.Join(auth, ",")+`}`)))
			token, err := p.Token(t.Context(), request("a.registry.io/app", providers.Identity{}, hosts...))
			switch {
			case c.want == 0:
				if reason(t, err) != v1alpha1.ReasonInvalidResponse || !strings.Contains(err.Error(), "a Secret keeps them") {
					t.Errorf("got %v", err)
				}
			case err != nil:
				t.Error(err)
			case token.ExpiresAt.Sub(clockStart) != c.want:
				t.Errorf("it lives for %s, want %s", token.ExpiresAt.Sub(clockStart), c.want)
			}
		})
	}
}

func jwtHeader(t *testing.T, algorithm string) string {
	t.Helper()
	raw, err := json.Marshal(map[string]string{"alg": algorithm, "typ": "JWT"})
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

func TestFailuresAreExplained(t *testing.T) {
	for name, c := range map[string]struct {
		env      map[string]string
		image    string
		plugin   string
		reason   string
		terminal bool
		says     []string
	}{
		"a plugin that is not configured": {plugin: "other", reason: v1alpha1.ReasonInvalidRequest, terminal: true,
			says: []string{"plugin other is not set up", "only: fake", "--image-credential-provider-config"}},
		"a plugin by its path": {plugin: "../fake", reason: v1alpha1.ReasonInvalidRequest, terminal: true, says: []string{"is not set up"}},
		"an image of other registries": {image: "registry.example.com/app", reason: v1alpha1.ReasonInvalidRequest, terminal: true,
			says: []string{"plugin fake is not for registry.example.com/app", "*.registry.io, docker.io", "matchImages"}},
		"an image without a host": {image: "team/app", reason: v1alpha1.ReasonInvalidRequest, terminal: true, says: []string{"must start with the host"}},
		"an exit code": {env: map[string]string{fakeDoes: "fail", fakeCode: "3", fakeAnswer: answer(`"auth":{"a.registry.io":{"username":"u","password":"p"}}`)},
			reason: v1alpha1.ReasonUnavailable, says: []string{"exit code 3", "by hand"}},
		"a signal":      {env: map[string]string{fakeDoes: "die"}, reason: v1alpha1.ReasonUnavailable, says: []string{"signal: killed", "memory limit"}},
		"nothing":       {env: answering(""), reason: v1alpha1.ReasonInvalidResponse, says: []string{"did not answer with a CredentialProviderResponse"}},
		"garbage":       {env: answering("<Error>" + secret + "</Error>"), reason: v1alpha1.ReasonInvalidResponse, says: []string{"did not answer with a"}},
		"another kind":  {env: answering(strings.Replace(answer(`"auth":null`), "Response", "Request", 1)), reason: v1alpha1.ReasonInvalidResponse, says: []string{"CredentialProviderResponse"}},
		"older version": {env: answering(strings.Replace(answer(`"auth":null`), "k8s.io/v1", "k8s.io/v1beta1", 1)), reason: v1alpha1.ReasonInvalidResponse, says: []string{"of credentialprovider.kubelet.k8s.io/v1"}},
		"another type": {env: answering(answer(`"auth":{"a.registry.io":"` + secret + `"}`)), reason: v1alpha1.ReasonInvalidResponse,
			says: []string{"did not answer with a"}},
		"no cache key type": {env: answering(strings.Replace(answer(`"auth":{}`), "Registry", secret, 1)), reason: v1alpha1.ReasonInvalidResponse,
			says: []string{"cacheKeyType"}},
		"no credentials":    {env: answering(answer(`"auth":null`)), reason: v1alpha1.ReasonAccessDenied, says: []string{"has no credentials for a.registry.io/app", "what the identity may pull"}},
		"empty credentials": {env: answering(answer(`"auth":{}`)), reason: v1alpha1.ReasonAccessDenied, says: []string{"has no credentials"}},
		"a flood":           {env: map[string]string{fakeDoes: "answer", fakeAnswer: strings.Repeat("x", 100_000), fakeTimes: "3"}, reason: v1alpha1.ReasonInvalidResponse, says: []string{"more than 256 KiB"}},
	} {
		t.Run(name, func(t *testing.T) {
			if c.env == nil {
				c.env = answering(answer(`"auth":{"*.registry.io":{"username":"u","password":"p"}}`))
			}
			c.env[fakeSecret] = secret
			p := configure(t, kubeletconfig.CredentialProvider{}, c.env)
			if c.image == "" {
				c.image = "a.registry.io/app"
			}
			req := request(c.image, providers.Identity{})
			if c.plugin != "" {
				req.Registry.Plugin.Name = c.plugin
			}
			_, err := p.Token(t.Context(), req)
			known, ok := errors.AsType[*providers.Error](err)
			if !ok || known.Reason != c.reason || known.Terminal != c.terminal {
				t.Fatalf("got %s (%v), want %s, terminal: %t", reason(t, err), err, c.reason, c.terminal)
			}
			for _, words := range c.says {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%q does not say %q", err, words)
				}
			}
			if cloud.ContainsCanary([]byte(err.Error())) {
				t.Error("the error shows a secret")
			}
		})
	}
}

func TestWhatCannotBeExecutedIsExplained(t *testing.T) {
	for name, c := range map[string]struct {
		make func(path string) error
		says string
	}{
		"no file":        {func(string) error { return nil }, "its file is gone"},
		"no interpreter": {func(p string) error { return os.WriteFile(p, []byte("#!/no/such/interpreter\n"), 0o700) }, "lacks"},
		"not executable": {func(p string) error { return os.WriteFile(p, []byte("#!/bin/sh\n"), 0o600) }, "must be executable"},
		"no program":     {func(p string) error { return os.WriteFile(p, []byte("text"), 0o700) }, "not a program for this machine"},
	} {
		p := configure(t, kubeletconfig.CredentialProvider{}, answering(""))
		path := p.plugins["fake"].path
		if err := errors.Join(os.Remove(path), c.make(path)); err != nil {
			t.Fatal(err)
		}
		_, err := p.Token(t.Context(), request("a.registry.io/app", providers.Identity{}))
		if reason(t, err) != v1alpha1.ReasonUnavailable || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAPluginThatHangsIsExplained(t *testing.T) {
	s := newStage(t, "hold")
	p := configure(t, kubeletconfig.CredentialProvider{}, map[string]string{fakeDoes: "hold", fakeAddress: s.Addr().String()})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := p.Token(ctx, request("a.registry.io/app", providers.Identity{}))
		done <- err
	}()
	running := s.accept(t)
	cancel()
	if err := <-done; reason(t, err) != v1alpha1.ReasonUnavailable || !strings.Contains(err.Error(), "did not answer in time and was ended") {
		t.Errorf("got %v", err)
	}
	running.ended(t)
}
