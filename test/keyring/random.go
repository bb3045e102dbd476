package keyring

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	labels  = []string{"a", "b", "registry", "ghcr", "docker", "index", "quay"}
	globs   = []string{"*", "a*", "?", "[ab]", "regis*ry", "[", "b"}
	tlds    = []string{"io", "com", "example"}
	ports   = []string{"", "", "", ":5000", ":443"}
	schemes = []string{"", "", "https://", "http://"}
	paths   = []string{"", "", "/", "/v1/", "/v2/", "/team", "/team/", "/te", "/v1/team", "/team/app", "/library"}
	images  = []string{"app", "team/app", "team-two/app", "library/app", "te/am/app"}
	known   = []string{"docker.io", "index.docker.io", "registry-1.docker.io", "https://index.docker.io/v1/", "index.docker.io/v1", "localhost:5000", "localhost"}
	// names are Secrets that may exist, and listed are what lists name.
	names  = []string{"s0", "s1", "s2", "s3"}
	listed = append([]string{"gone", "", "s0", "s1"}, names...)
	// broken are contents that no kubelet can read, and worthless those that it reads and finds nothing in.
	broken = []string{
		`{"auths":{"a.io":{"auth":"no base64!"}}}`, `{"auths":{"a.io":{"auth":"bm9jb2xvbg=="}}}`, `{"auths":[]}`, `{"auths":{"a.io":{"email":5}}}`,
		`{"auths":{"a.io":{"username":5}}}`, `{"auths":{},"HttpHeaders":5}`, `[]`, `{`,
	}
	worthless = []string{`{"auths":{}}`, `{"auths":null}`, `{}`, `null`, `{"a.io":{"auth":"dTpw"}}`, ""}
)

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

// random makes cases, the same every time.
func random(n int) []*Case {
	r := rand.New(rand.NewPCG(1, 2))
	cases := make([]*Case, n)
	for i := range cases {
		host, image := randomImage(r)
		c := &Case{Image: image, Own: randomList(r), Linked: randomList(r), places: map[string]Place{}}
		if r.IntN(2) == 0 {
			c.Own = nil
		}
		for _, name := range names {
			if r.IntN(8) > 0 {
				c.Secrets = append(c.Secrets, c.randomSecret(r, name, host))
			}
		}
		cases[i] = c
	}
	return cases
}

func randomHost(r *rand.Rand, words []string) string {
	parts := []string{pick(r, words)}
	for range r.IntN(3) {
		parts = append(parts, pick(r, words))
	}
	return strings.Join(append(parts, pick(r, tlds)), ".") + pick(r, ports)
}

func randomImage(r *rand.Rand) (host, image string) {
	host = randomHost(r, labels)
	image = host + "/" + pick(r, images)
	switch r.IntN(6) {
	case 0:
		host, image = "docker.io", pick(r, images)
	case 1:
		host = pick(r, []string{"docker.io", "index.docker.io", "localhost:5000"})
		image = host + "/" + pick(r, images)
	}
	return host, image + pick(r, []string{"", ":1", "@sha256:" + strings.Repeat("a", 64)})
}

// randomList may name a Secret twice, one that does not exist, and none.
func randomList(r *rand.Rand) []string {
	var list []string
	for range r.IntN(5) {
		list = append(list, pick(r, listed))
	}
	return list
}

// randomSecret is most often one with logins of which some are near the image's host.
func (c *Case) randomSecret(r *rand.Rand, name, host string) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}, Type: corev1.SecretTypeDockerConfigJson}
	logins := map[string]any{}
	for n := range 1 + r.IntN(4) {
		at, user := randomKey(r, host), fmt.Sprintf("%s-%d", name, n)
		if _, taken := logins[at]; !taken {
			logins[at] = randomLogin(r, user)
			c.places[user] = Place{name, at}
		}
	}
	key, content := corev1.DockerConfigJsonKey, encode(map[string]any{"auths": logins})
	switch r.IntN(20) {
	case 0:
		content = pick(r, broken)
	case 1:
		content = pick(r, worthless)
	case 2, 3, 4:
		s.Type, key = corev1.SecretTypeDockercfg, corev1.DockerConfigKey
		content = encode(logins)
	case 5:
		s.Type = corev1.SecretTypeOpaque
	}
	s.Data = map[string][]byte{key: []byte(content)}
	return s
}

func randomKey(r *rand.Rand, host string) string {
	switch r.IntN(4) {
	case 0:
		return pick(r, schemes) + randomHost(r, append(globs, labels...)) + pick(r, paths)
	case 1:
		return pick(r, known)
	case 2:
		parts := strings.Split(host, ".")
		parts[r.IntN(len(parts))] = pick(r, globs)
		return pick(r, schemes) + strings.Join(parts, ".") + pick(r, paths)
	default:
		return pick(r, schemes) + host + pick(r, paths)
	}
}

// randomLogin writes a login in one of the ways that there are; of two users in it, that under auth counts.
func randomLogin(r *rand.Rand, user string) map[string]string {
	password := fmt.Sprintf("%d", r.Int())
	switch both := user + ":" + password; r.IntN(4) {
	case 0:
		return map[string]string{"username": user, "password": password, "email": "a@b"}
	case 1:
		return map[string]string{"username": "other", "auth": base64.StdEncoding.EncodeToString([]byte(both))}
	case 2:
		return map[string]string{"auth": base64.RawStdEncoding.EncodeToString([]byte(both))}
	default:
		return map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(both))}
	}
}

func encode(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}
