package static

import (
	"slices"
	"strings"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// The keys of a Secret are those of the types kubernetes.io/basic-auth and kubernetes.io/dockerconfigjson.
const (
	keyUsername     = "username"
	keyPassword     = "password"
	keyDockerConfig = ".dockerconfigjson"
)

// maxHosts is what the status of an entry can name.
const maxHosts = 64

// read takes the logins for the chosen hosts out of a Secret. Its errors name the Secret and the key, and never what is in it.
func read(secret *providers.Secret, data map[string][]byte, chosen []string) ([]providers.Login, error) {
	_, hasUsername := data[keyUsername]
	_, hasPassword := data[keyPassword]
	config, hasConfig := data[keyDockerConfig]
	switch {
	case hasConfig && (hasUsername || hasPassword):
		return nil, invalid("%s has the key %s and %s or %s, too: remove one or the other", secret, keyDockerConfig, keyUsername, keyPassword)
	case hasConfig:
		return readDockerConfig(secret, config, chosen)
	case hasUsername || hasPassword:
		return readPassword(secret, data, chosen)
	default:
		return nil, invalid("%s lacks the keys %s and %s, or %s: add them", secret, keyUsername, keyPassword, keyDockerConfig)
	}
}

func readPassword(secret *providers.Secret, data map[string][]byte, chosen []string) ([]providers.Login, error) {
	username, password := line(data[keyUsername]), line(data[keyPassword])
	if username == "" {
		return nil, invalid("%s lacks the key %s: add it", secret, keyUsername)
	}
	if password == "" {
		return nil, invalid("%s lacks the key %s: add it", secret, keyPassword)
	}
	if strings.Contains(username, ":") {
		return nil, invalid("the key %s of %s has a colon in it, which no username can have: correct it", keyUsername, secret)
	}
	if len(chosen) == 0 {
		return nil, providers.Errorf(v1alpha1.ReasonInvalidRequest,
			"static.host is needed: %s has a username and password, and does not say for which registry", secret)
	}
	return []providers.Login{{Username: username, Password: providers.Sensitive(password), Hosts: chosen}}, nil
}

// line is a value without the end of the line that an editor or echo has left on it, as `docker login --password-stdin` reads it.
func line(value []byte) string {
	return strings.TrimSuffix(strings.TrimSuffix(string(value), "\n"), "\r")
}

// credential is a username and password for one place.
type credential struct {
	username string
	password providers.Sensitive
	place    place
}

// grouped makes one login of what has the same username and password. One place can have one login only: a docker config, as a map,
// has no room for a second.
func grouped(secret *providers.Secret, credentials []credential) ([]providers.Login, error) {
	var logins []providers.Login
	claimed := map[place]int{}
	for _, c := range credentials {
		at := slices.IndexFunc(logins, func(l providers.Login) bool { return l.Username == c.username && l.Password == c.password })
		if at < 0 {
			at = len(logins)
			logins = append(logins, providers.Login{Username: c.username, Password: c.password})
		}
		if other, ok := claimed[c.place]; ok {
			if other != at {
				return nil, invalid("%s of %s has two different entries for %s: remove one", keyDockerConfig, secret, c.place)
			}
			continue
		}
		claimed[c.place] = at
		logins[at].Hosts = append(logins[at].Hosts, c.place.String())
	}
	if len(claimed) > maxHosts {
		return nil, invalid("%s of %s has entries for %d hosts, and %d are possible: choose by static.hosts, in several registry entries",
			keyDockerConfig, secret, len(claimed), maxHosts)
	}
	return logins, nil
}

func invalid(format string, args ...any) *providers.Error {
	return providers.Errorf(v1alpha1.ReasonIdentityInvalid, format, args...)
}
