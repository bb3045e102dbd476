package plugin

import (
	"errors"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	credentialprovider "k8s.io/kubelet/pkg/apis/credentialprovider/v1"

	"github.com/regcred/regcred/internal/dockerkey"
)

// pattern is an entry of matchImages, or an image: a host, with a port or not, whose labels may be globs, and a path.
type pattern struct{ host, path string }

var errPattern = errors.New("must be a host, with a port and a path if needed, such as *.example.com or registry.example.com:5000/team: " +
	"globs stand in the host only, and there is no scheme")

func parsePattern(s string) (pattern, error) {
	u, err := url.Parse("https://" + s)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Contains(s, "://") {
		return pattern{}, errPattern
	}
	for label := range strings.SplitSeq(u.Hostname(), ".") {
		if _, err := path.Match(label, ""); err != nil {
			return pattern{}, errPattern
		}
	}
	p := pattern{host: u.Host, path: u.Path}
	if p.path == "/" {
		p.path = ""
	}
	return p, nil
}

// matches is the kubelet's rule for matchImages (kubernetes pkg/credentialprovider/keyring.go, URLsMatch).
func (p pattern) matches(image pattern) bool {
	return dockerkey.MatchHost(p.host, image.host) && strings.HasPrefix(image.path, p.path)
}

// keyring is the content of an answer, parsed once for all that it is for.
type keyring struct {
	auth map[string]credentialprovider.AuthConfig
	keys *dockerkey.Ring
}

func newKeyring(auth map[string]credentialprovider.AuthConfig) keyring {
	return keyring{auth, dockerkey.NewRing(slices.Sorted(maps.Keys(auth)))}
}

// lookup is the login that the kubelet shows first for an image.
func (k keyring) lookup(image pattern) (credentialprovider.AuthConfig, bool) {
	chosen := k.keys.Choose(image.host, image.path)
	if len(chosen) == 0 {
		return credentialprovider.AuthConfig{}, false
	}
	return k.auth[chosen[0]], true
}
