package diagnosis

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/regcred/regcred/internal/dockerkey"
	"github.com/regcred/regcred/test/keyring"
)

// cases are how many pods the kubelet's own keyring is asked about.
const cases = 20000

// TestTheKubeletShowsTheSame compares which Secrets' logins are thought to be shown, and in which order, with what the kubelet's code does.
func TestTheKubeletShowsTheSame(t *testing.T) {
	failed := 0
	for _, c := range keyring.Cases(t, cases) {
		i, ok := ParseImage(c.Image)
		if ok != c.Kubelet.Parsed {
			t.Errorf("%s is an image: %t, and for the kubelet: %t", c.Image, ok, c.Kubelet.Parsed)
		}
		holdings, ours := holdingsOf(c, i)
		if !ok || c.Kubelet.Malformed || !ours {
			continue
		}
		var got, want []string
		e := Evidence{Image: i, Pod: Pod{Secrets: c.List()}, Linked: c.Linked, Holdings: holdings}
		for _, h := range Diagnose(e).Try {
			got = append(got, h.Secret+" "+h.Covering.inSecret())
		}
		for _, user := range c.Kubelet.Users {
			if !slices.ContainsFunc(want, func(s string) bool { return strings.HasPrefix(s, c.At(user).Secret+" ") }) {
				want = append(want, c.At(user).Secret+" "+c.At(user).Key)
			}
		}
		if !slices.EqualFunc(got, want, alike) && failed < 10 {
			failed++
			t.Errorf("%s: %q, and the kubelet %q", c, got, want)
		}
	}
}

// alike says whether two name a Secret, and a key in it that means the same.
func alike(a, b string) bool {
	one, key, _ := strings.Cut(a, " ")
	other, otherKey, _ := strings.Cut(b, " ")
	pattern, _ := dockerkey.Pattern(key)
	otherPattern, _ := dockerkey.Pattern(otherKey)
	return one == other && pattern == otherPattern
}

// holdingsOf are what the controller knows of the Secrets, as if it had written them, and whether it could have: it writes HubKey for Docker Hub.
func holdingsOf(c *keyring.Case, i Image) (all []Holding, ours bool) {
	for _, s := range c.Secrets {
		var content struct {
			Auths map[string]json.RawMessage
		}
		h := Holding{Credential: s.Name, Secret: s.Name}
		switch s.Type {
		case corev1.SecretTypeDockerConfigJson:
			_ = json.Unmarshal(s.Data[corev1.DockerConfigJsonKey], &content) // a malformed one holds nothing
		case corev1.SecretTypeDockercfg:
			_ = json.Unmarshal(s.Data[corev1.DockerConfigKey], &content.Auths)
		}
		for key := range content.Auths {
			if key == dockerkey.Hub {
				return nil, false
			}
			h.Cover(i, nil, []string{key}, time.Now().Add(time.Hour))
		}
		all = append(all, h)
	}
	return all, len(all) > 0
}
