package static

import (
	"slices"
	"strings"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/secretdata"
)

// The keys of a Secret are those of the types kubernetes.io/basic-auth, kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg.
const (
	keyUsername     = "username"
	keyPassword     = "password"
	keyDockerConfig = ".dockerconfigjson"
	keyLegacyConfig = ".dockercfg"
)

// maxHosts is what the status of an entry can name.
const maxHosts = 64

// read takes the logins for the chosen hosts out of a Secret. Its errors name the Secret and the key, and never what is in it.
func read(secret *providers.Secret, data map[string][]byte, chosen []string) ([]providers.Login, error) {
	var kinds []string
	for _, key := range []string{keyDockerConfig, keyLegacyConfig, keyUsername, keyPassword} {
		if _, ok := data[key]; ok && (key != keyPassword || !slices.Contains(kinds, keyUsername)) {
			kinds = append(kinds, key)
		}
	}
	switch {
	case len(kinds) > 1:
		return nil, invalid("%s has the keys %s: remove all but those of one kind", secret, strings.Join(kinds, " and "))
	case len(kinds) == 0:
		return nil, invalid("%s lacks the keys %s and %s, or %s: add them", secret, keyUsername, keyPassword, keyDockerConfig)
	case kinds[0] == keyDockerConfig, kinds[0] == keyLegacyConfig:
		f, err := readFile(secret, data, kinds[0])
		if err != nil {
			return nil, err
		}
		return f.logins(chosen)
	default:
		return readPassword(secret, data, chosen)
	}
}

func readPassword(secret *providers.Secret, data map[string][]byte, chosen []string) ([]providers.Login, error) {
	values := map[string]string{}
	for _, key := range []string{keyUsername, keyPassword} {
		var err error
		if values[key], err = secretdata.Line(secret, data, key); err != nil {
			return nil, err
		}
		if values[key] == "" {
			return nil, invalid("%s lacks the key %s: add it", secret, key)
		}
	}
	if strings.Contains(values[keyUsername], ":") {
		return nil, invalid("the key %s of %s has a colon in it, which no username can have: correct it", keyUsername, secret)
	}
	if len(chosen) == 0 {
		return nil, providers.Errorf(v1alpha1.ReasonInvalidRequest,
			"static.host is needed: %s has a username and password, and does not say for which registry", secret)
	}
	return []providers.Login{{Username: values[keyUsername], Password: providers.Sensitive(values[keyPassword]), Hosts: chosen}}, nil
}

// credential is a username and password for one place, which the source names by a key.
type credential struct {
	username string
	password providers.Sensitive
	place    place
	key      string
}

// grouped makes one login of what has the same username and password. One place can have one login only: a docker config, as a map,
// has no room for a second. Where a place has a name of its own in the source that others look for, it is published under that, too.
func (f file) grouped(credentials []credential) ([]providers.Login, error) {
	var logins []providers.Login
	claimed := map[string]int{}
	known := map[[2]string]int{}
	for _, c := range credentials {
		pair := [2]string{c.username, c.password.Reveal()}
		at, ok := known[pair]
		if !ok {
			at = len(logins)
			known[pair] = at
			logins = append(logins, providers.Login{Username: c.username, Password: c.password})
		}
		if other, ok := claimed[c.place.String()]; ok && other != at {
			return nil, invalid("%s of %s has two different entries for %s: remove one", f.key, f.secret, c.place)
		}
		for _, name := range append([]string{c.place.String()}, c.place.aliases(c.key)...) {
			if _, ok := claimed[name]; !ok {
				claimed[name] = at
				logins[at].Hosts = append(logins[at].Hosts, name)
			}
		}
	}
	if len(claimed) > maxHosts {
		return nil, invalid("%s of %s has entries for %d hosts, and %d are possible: choose by static.hosts, in several registry entries",
			f.key, f.secret, len(claimed), maxHosts)
	}
	return logins, nil
}

func invalid(format string, args ...any) *providers.Error {
	return providers.Errorf(v1alpha1.ReasonIdentityInvalid, format, args...)
}
