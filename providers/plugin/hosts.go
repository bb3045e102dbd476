package plugin

import (
	"strings"

	credentialprovider "k8s.io/kubelet/pkg/apis/credentialprovider/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/registryhost"
)

// target is what credentials are looked up for: an image, or a whole host.
type target struct {
	name, host string
	pattern    pattern
}

// parseImage leaves out tag and digest, which the kubelet does not pass on either.
func parseImage(text string) (target, error) {
	name, _, _ := strings.Cut(text, "@")
	host, repository, hasRepository := strings.Cut(name, "/")
	if hasRepository {
		repository, _, _ = strings.Cut(repository, ":")
		name = host + "/" + repository
	}
	h, hostErr := registryhost.Parse(host)
	p, err := parsePattern(name)
	switch {
	case hostErr != nil, err != nil, p.host != h.String(), hasRepository && repository == "":
		return target{}, terminal("plugin.image must be an image or its registry, such as registry.example.com/team/app")
	case !strings.ContainsAny(host, ".:") && host != "localhost":
		// Everybody else would take it for a repository of Docker Hub.
		return target{}, terminal("plugin.image must start with the host of its registry, such as registry.example.com/team/app or docker.io/team/app")
	}
	return target{name: name, host: host, pattern: p}, nil
}

// targets are the image and the further hosts. A host has no path, so that only credentials for all of it are good for it.
func targets(i target, hosts []v1alpha1.Host) ([]target, error) {
	all := []target{i}
	for _, host := range hosts {
		h, err := registryhost.Parse(string(host))
		if err != nil {
			return nil, terminal("plugin.hosts: %w", err)
		}
		p, err := parsePattern(h.String())
		if err != nil {
			return nil, terminal("plugin.hosts: %w", err)
		}
		if h.String() != i.host {
			all = append(all, target{name: h.String(), host: h.String(), pattern: p})
		}
	}
	return all, nil
}

// logins are the credentials of the targets, each from the answer's key that the kubelet would try first.
func (p *plugin) logins(all []target, response *credentialprovider.CredentialProviderResponse) ([]providers.Login, error) {
	if len(response.Auth) == 0 {
		return nil, providers.Errorf(v1alpha1.ReasonAccessDenied, "plugin %s has no credentials for %s: "+
			"check plugin.image, and what the identity may pull", p.name, shorten(all[0].name))
	}
	keys := newKeyring(response.Auth)
	var logins []providers.Login
	of := map[credentialprovider.AuthConfig]int{}
	for _, t := range all {
		auth, ok := keys.lookup(t.pattern)
		switch {
		case !ok:
			return nil, p.invalidResponse("answered without credentials for " + t.host + ": check plugin.image and plugin.hosts")
		case auth.Password == "":
			return nil, p.invalidResponse("answered with an empty password for " + t.host)
		case strings.Contains(auth.Username, ":"):
			return nil, p.invalidResponse("answered with a username for " + t.host + " that a Secret cannot hold, as it has a colon in it")
		}
		i, known := of[auth]
		if !known {
			i = len(logins)
			of[auth] = i
			logins = append(logins, providers.Login{Username: auth.Username, Password: providers.Sensitive(auth.Password)})
		}
		logins[i].Hosts = append(logins[i].Hosts, t.host)
	}
	return logins, nil
}
