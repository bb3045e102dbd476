package static

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/secretdata"
)

// maxEntries is how many entries of a docker config are looked at, of which those for maxHosts can be chosen.
const maxEntries = 1024

// file is a docker config in a Secret.
type file struct {
	secret *providers.Secret
	key    string
	auths  map[string]json.RawMessage
}

// entry is an entry of a docker config. What it may hold beside these is not for the kubelet.
type entry struct {
	Username      string `json:"username"`
	Password      string `json:"password"`
	Auth          string `json:"auth"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

// readFile reads a docker config: with auths, or of the legacy type, which is nothing else than its auths.
func readFile(secret *providers.Secret, data map[string][]byte, key string) (file, error) {
	raw, err := secretdata.Document(secret, data, key)
	if err != nil {
		return file{}, err
	}
	f := file{secret: secret, key: key}
	// An entry is read when it is wanted, so that another that is broken does no harm.
	if key == keyLegacyConfig {
		if json.Unmarshal(raw, &f.auths) != nil {
			return file{}, invalid(`%s of %s is not the JSON of a legacy docker config: it must be {"<host>": {"auth": "<base64 of username:password>"}}`,
				key, secret)
		}
		if _, ok := f.auths["auths"]; ok && len(f.auths) == 1 {
			return file{}, invalid("%s of %s is a docker config of the newer kind: put it under the key %s", key, secret, keyDockerConfig)
		}
	} else {
		var config struct {
			Auths map[string]json.RawMessage `json:"auths"`
		}
		if json.Unmarshal(raw, &config) != nil {
			return file{}, invalid(`%s of %s is not the JSON of a docker config: it must be {"auths": {"<host>": {"auth": "<base64 of username:password>"}}}`,
				key, secret)
		}
		f.auths = config.Auths
	}
	if len(f.auths) > maxEntries {
		return file{}, invalid("%s of %s has %d entries, and %d are possible: remove those that nobody needs", key, secret, len(f.auths), maxEntries)
	}
	if len(f.auths) == 0 {
		return file{}, invalid("%s of %s has no auths: add an entry for each registry", key, secret)
	}
	return f, nil
}

// logins takes those for the chosen hosts out of the file; all if none is chosen.
func (f file) logins(chosen []string) ([]providers.Login, error) {
	places, err := f.places(len(chosen) == 0)
	if err != nil {
		return nil, err
	}
	var wanted []source
	if len(chosen) == 0 {
		wanted = places
	}
	for _, host := range chosen {
		found := choose(places, host)
		if len(found) == 0 {
			return nil, invalid("%s of %s has no entry for %s: add it, or correct static.host", f.key, f.secret, host)
		}
		wanted = append(wanted, found...)
	}
	credentials := make([]credential, len(wanted))
	for i, w := range wanted {
		if credentials[i], err = f.read(w); err != nil {
			return nil, err
		}
	}
	return f.grouped(credentials)
}

// source is a place and the key of the entry that says what to log in with.
type source struct {
	place place
	key   string
}

// places reads the keys of all entries, in an order that is the same every time: the kubelet's, in which what is more specific goes
// first. A key that names no place is an error if all are wanted.
func (f file) places(all bool) ([]source, error) {
	var places []source
	for _, key := range slices.Backward(slices.Sorted(maps.Keys(f.auths))) {
		p, ok := parsePlace(key)
		switch {
		case !ok && all:
			return nil, invalid("%s of %s has an entry for what is no registry host: use hosts such as registry.example.com:5000, "+
				"*.example.com or registry.example.com/team in lower case, or choose the others by static.hosts", f.key, f.secret)
		case ok && !p.isLoginState():
			places = append(places, source{p, key})
		}
	}
	if all && len(places) == 0 {
		return nil, invalid("%s of %s has no auths for a registry: add an entry for each", f.key, f.secret)
	}
	return places, nil
}

// choose finds the entries for a host, with all their paths; or else the first whose glob is good for it.
func choose(places []source, host string) []source {
	var exact []source
	for _, s := range places {
		if s.place.host == host {
			exact = append(exact, s)
		}
	}
	if len(exact) > 0 {
		return exact
	}
	for _, s := range places {
		if s.place.covers(host) {
			return []source{{place{host, s.place.path}, s.key}}
		}
	}
	return nil
}

// read reads an entry as the kubelet does: auth goes before username and password (kubernetes pkg/credentialprovider/config.go).
func (f file) read(s source) (credential, error) {
	var e entry
	p := s.place
	if json.Unmarshal(f.auths[s.key], &e) != nil {
		return credential{}, invalid("the entry for %s in %s of %s is not that of a docker config: give it auth, or username and password", p, f.key, f.secret)
	}
	if e.Auth != "" {
		var ok bool
		if e.Username, e.Password, ok = decodeAuth(e.Auth); !ok {
			return credential{}, invalid("auth of %s in %s of %s is not base64 of username:password: correct it", p, f.key, f.secret)
		}
	}
	for what, text := range map[string]*string{"username": &e.Username, "password": &e.Password} {
		var fault string
		if *text, fault = secretdata.Fault(*text); fault != "" {
			return credential{}, invalid("the %s of %s in %s of %s %s", what, p, f.key, f.secret, fault)
		}
	}
	switch {
	case e.Username != "" && e.Password != "" && !strings.Contains(e.Username, ":"):
		return credential{e.Username, providers.Sensitive(e.Password), p, s.key}, nil
	case e.Username != "" && e.Password != "":
		return credential{}, invalid("the username of %s in %s of %s has a colon in it, which no username can have: correct it", p, f.key, f.secret)
	case e.IdentityToken != "" || e.RegistryToken != "":
		return credential{}, invalid("the entry for %s in %s of %s has a token of a docker login only, which the kubelet cannot use: "+
			"give it username and password", p, f.key, f.secret)
	default:
		return credential{}, invalid("the entry for %s in %s of %s lacks username and password: on a machine with a credential store, "+
			"docker login does not write them there; use kubectl create secret docker-registry", p, f.key, f.secret)
	}
}

// decodeAuth takes padded and unpadded base64, in one line or wrapped, as the kubelet does.
func decodeAuth(auth string) (username, password string, ok bool) {
	decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(auth), "="))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(decoded), ":")
}
