package static

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/regcred/regcred/providers"
)

// entry is an entry of a docker config. What it may hold beside these is not for the kubelet.
type entry struct {
	Username      string `json:"username"`
	Password      string `json:"password"`
	Auth          string `json:"auth"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

func readDockerConfig(secret *providers.Secret, raw []byte, chosen []string) ([]providers.Login, error) {
	// An entry is read when it is wanted, so that another that is broken does no harm.
	var config struct {
		Auths map[string]json.RawMessage `json:"auths"`
	}
	if json.Unmarshal(raw, &config) != nil {
		return nil, invalid(`%s of %s is not the JSON of a docker config: it must be {"auths": {"<host>": {"auth": "<base64 of username:password>"}}}`,
			keyDockerConfig, secret)
	}
	if len(config.Auths) == 0 {
		return nil, invalid("%s of %s has no auths: add an entry for each registry", keyDockerConfig, secret)
	}
	places, err := placesOf(secret, config.Auths, len(chosen) == 0)
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
			return nil, invalid("%s of %s has no entry for %s: add it, or correct static.host", keyDockerConfig, secret, host)
		}
		wanted = append(wanted, found...)
	}
	credentials := make([]credential, len(wanted))
	for i, w := range wanted {
		if credentials[i], err = readEntry(secret, w.place, config.Auths[w.key]); err != nil {
			return nil, err
		}
	}
	return grouped(secret, credentials)
}

// source is a place and the key of the entry that says what to log in with.
type source struct {
	place place
	key   string
}

// placesOf reads the keys of all entries, in an order that is the same every time: the kubelet's, in which what is more specific goes
// first. A key that names no place is an error if all are wanted.
func placesOf(secret *providers.Secret, auths map[string]json.RawMessage, all bool) ([]source, error) {
	var places []source
	for _, key := range slices.Backward(slices.Sorted(maps.Keys(auths))) {
		p, ok := parsePlace(key)
		switch {
		case !ok && all:
			return nil, invalid("%s of %s has an entry for what is no registry host: use hosts such as registry.example.com:5000, "+
				"*.example.com or registry.example.com/team in lower case, or choose the others by static.hosts", keyDockerConfig, secret)
		case ok && !p.isLoginState():
			places = append(places, source{p, key})
		}
	}
	if all && len(places) == 0 {
		return nil, invalid("%s of %s has no auths for a registry: add an entry for each", keyDockerConfig, secret)
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

// readEntry reads an entry as the kubelet does: auth goes before username and password (kubernetes pkg/credentialprovider/config.go).
func readEntry(secret *providers.Secret, p place, raw json.RawMessage) (credential, error) {
	var e entry
	if json.Unmarshal(raw, &e) != nil {
		return credential{}, invalid("the entry for %s in %s of %s is not that of a docker config: give it auth, or username and password",
			p, keyDockerConfig, secret)
	}
	if e.Auth != "" {
		var ok bool
		if e.Username, e.Password, ok = decodeAuth(e.Auth); !ok {
			return credential{}, invalid("auth of %s in %s of %s is not base64 of username:password: correct it", p, keyDockerConfig, secret)
		}
	}
	switch {
	case e.Username != "" && e.Password != "" && !strings.Contains(e.Username, ":"):
		return credential{e.Username, providers.Sensitive(e.Password), p}, nil
	case e.Username != "" && e.Password != "":
		return credential{}, invalid("the username of %s in %s of %s has a colon in it, which no username can have: correct it", p, keyDockerConfig, secret)
	case e.IdentityToken != "" || e.RegistryToken != "":
		return credential{}, invalid("the entry for %s in %s of %s has a token of a docker login only, which the kubelet cannot use: "+
			"give it username and password", p, keyDockerConfig, secret)
	default:
		return credential{}, invalid("the entry for %s in %s of %s lacks username and password: on a machine with a credential store, "+
			"docker login does not write them there; use kubectl create secret docker-registry", p, keyDockerConfig, secret)
	}
}

// decodeAuth takes padded and unpadded base64, as the kubelet does.
func decodeAuth(auth string) (username, password string, ok bool) {
	decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimSpace(auth), "="))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(decoded), ":")
}
