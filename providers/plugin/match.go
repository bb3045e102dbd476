package plugin

import (
	"errors"
	"maps"
	"net"
	"net/url"
	"path"
	"slices"
	"strings"

	credentialprovider "k8s.io/kubelet/pkg/apis/credentialprovider/v1"
)

// pattern is an entry of matchImages, a key of an answer, or an image: a host whose labels may be globs, a port and a path.
type pattern struct {
	labels     []string
	port, path string
}

var errPattern = errors.New("must be a host, with a port and a path if needed, such as *.example.com or registry.example.com:5000/team: " +
	"globs stand in the host only, and there is no scheme")

func parsePattern(s string) (pattern, error) {
	u, err := url.Parse("https://" + s)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Contains(s, "://") {
		return pattern{}, errPattern
	}
	p := pattern{path: unlessRoot(u.Path)}
	host := u.Host
	if name, port, err := net.SplitHostPort(host); err == nil {
		host, p.port = name, port
	}
	p.labels = strings.Split(host, ".")
	for _, l := range p.labels {
		if _, err := path.Match(l, ""); err != nil {
			return pattern{}, errPattern
		}
	}
	return p, nil
}

func unlessRoot(path string) string {
	if path == "/" {
		return ""
	}
	return path
}

// matches is the kubelet's rule: as many labels, each a glob; the same port; a path by its beginning
// (kubernetes pkg/credentialprovider/keyring.go, URLsMatch).
func (p pattern) matches(image pattern) bool {
	if p.port != image.port || len(p.labels) != len(image.labels) || !strings.HasPrefix(image.path, p.path) {
		return false
	}
	for i, l := range p.labels {
		if ok, err := path.Match(l, image.labels[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

func (p pattern) host() string {
	host := strings.Join(p.labels, ".")
	if p.port != "" {
		host += ":" + p.port
	}
	return host
}

// keyring is the content of an answer, in the order in which the kubelet tries it.
type keyring []key

type key struct {
	text    string
	pattern pattern
	auth    credentialprovider.AuthConfig
}

// newKeyring leaves out keys that are none, takes the API version in a key of old docker configs for nothing, and sorts so that the
// longer of two keys, and the one without a glob, comes first: all as the kubelet does (BasicDockerKeyring.Add in the same file).
func newKeyring(auth map[string]credentialprovider.AuthConfig) keyring {
	var all keyring
	for _, text := range slices.Sorted(maps.Keys(auth)) {
		p, err := parsePattern(strings.TrimPrefix(strings.TrimPrefix(text, "https://"), "http://"))
		if err != nil {
			continue
		}
		if strings.HasPrefix(p.path, "/v1/") || strings.HasPrefix(p.path, "/v2/") {
			p.path = unlessRoot(p.path[len("/v1"):])
		}
		all = append(all, key{p.host() + p.path, p, auth[text]})
	}
	slices.SortStableFunc(all, func(a, b key) int { return strings.Compare(b.text, a.text) })
	return all
}

// dockerHub is the key of Docker Hub in a docker config; it is good for the host docker.io of image references.
const dockerHub = "index.docker.io"

func (k keyring) lookup(image pattern) (credentialprovider.AuthConfig, bool) {
	i := slices.IndexFunc(k, func(c key) bool { return c.pattern.matches(image) })
	if i < 0 && image.host() == "docker.io" {
		i = slices.IndexFunc(k, func(c key) bool { return c.text == dockerHub })
	}
	if i < 0 {
		return credentialprovider.AuthConfig{}, false
	}
	return k[i].auth, true
}
