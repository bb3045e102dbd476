package static

import (
	"regexp"
	"slices"
	"strings"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/internal/dockerkey"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/registryhost"
)

// maxPlace is what a record of a Secret holds of a host.
const maxPlace = 253

// place is where an entry of a docker config is good, as the kubelet understands it (kubernetes pkg/credentialprovider/keyring.go): a
// host, in which a label may be a glob, and the path that repositories begin with, if any.
type place struct{ host, path string }

func (p place) String() string { return p.host + p.path }

var repositoryPath = regexp.MustCompile(`^(/[a-z0-9._-]+)+/?$`)

// parsePlace reads the key of an entry, which may have a scheme and, as in old docker configs, the version of the API.
func parsePlace(key string) (place, bool) {
	bare, ok := strings.CutPrefix(key, "https://")
	if !ok {
		bare = strings.TrimPrefix(key, "http://")
	}
	host, rest, hasPath := strings.Cut(bare, "/")
	var p place
	if hasPath {
		p.path = "/" + rest
	}
	for _, version := range []string{"/v1", "/v2"} {
		if p.path == version || strings.HasPrefix(p.path, version+"/") {
			p.path = p.path[len(version):]
			break
		}
	}
	if p.path == "/" {
		p.path = ""
	}
	// A glob is a host with something else for each asterisk.
	_, err := registryhost.Parse(strings.ReplaceAll(host, "*", "a"))
	if err != nil || len(key) > maxPlace || p.path != "" && !repositoryPath.MatchString(p.path) {
		return place{}, false
	}
	p.host = dockerkey.Canonical(host)
	return p, true
}

// aliases are the key itself where it is one of Docker Hub's other names: tools look for the one that they know (argocd-image-updater for
// registry-1.docker.io). The usual key is published in any case.
func (p place) aliases(key string) []string {
	if p.host != dockerkey.Hub || p.path != "" || key == dockerkey.Hub || key == dockerkey.HubKey {
		return nil
	}
	return []string{key}
}

// isLoginState says whether an entry is none of a registry: `docker login` by a browser notes its own session beside Docker Hub's entry
// (docker/cli, cli/internal/oauth/manager).
func (p place) isLoginState() bool {
	return p.host == dockerkey.Hub && (p.path == "/access-token" || p.path == "/refresh-token")
}

// covers says whether the host is one of the place's.
func (p place) covers(host string) bool { return dockerkey.MatchHost(p.host, host) }

// chosenHosts are the hosts that the entry names; none means all that the Secret holds.
func chosenHosts(spec *v1alpha1.Static) ([]string, error) {
	named := spec.Hosts
	if spec.Host != "" {
		named = []v1alpha1.Host{spec.Host}
	}
	var hosts []string
	for _, h := range named {
		host, err := registryhost.Parse(string(h))
		if err != nil {
			return nil, providers.Errorf(v1alpha1.ReasonInvalidRequest, "static names a host that is %w", err)
		}
		if name := dockerkey.Canonical(host.String()); !slices.Contains(hosts, name) {
			hosts = append(hosts, name)
		}
	}
	return hosts, nil
}
