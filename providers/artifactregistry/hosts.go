package artifactregistry

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/registryhost"
)

// googleapis is the universe of Google Cloud itself, by the domain of its APIs.
const googleapis = "googleapis.com"

// packageHosts are the hosts of the Docker repositories in one location, which may be a region or a multi-region; the second are those that
// keep to one region (docker-credential-gcr, config/const.go).
var packageHosts = []*regexp.Regexp{
	regexp.MustCompile(`^([a-z]+(?:-[a-z]+[0-9]+)?)-docker\.pkg\.dev$`),
	regexp.MustCompile(`^docker\.([a-z]+-[a-z]+[0-9]+)\.rep\.pkg\.dev$`),
}

// containerRegistry are the hosts of the former Container Registry, by the location of the repositories behind them
// (https://cloud.google.com/artifact-registry/docs/transition/setup-gcr-repo).
var containerRegistry = map[string]string{"gcr.io": "us", "us.gcr.io": "us", "eu.gcr.io": "europe", "asia.gcr.io": "asia", "marketplace.gcr.io": "us"}

// otherHost is a registry host in another universe, before the suffix of its hosts: docker, or a location and -docker.
var otherHost = regexp.MustCompile(`^(?:([a-z][a-z0-9-]*)-)?docker$`)

// universes are the domains of APIs by the suffix of registry hosts: those that the administrator has added to Google Cloud's own.
type universes map[string]string

// parseUniverses reads <domain of the APIs>=<suffix of registry hosts>.
func parseUniverses(texts []string) (universes, error) {
	all := universes{}
	for _, text := range texts {
		domain, suffix, _ := strings.Cut(text, "=")
		for _, name := range []string{domain, suffix} {
			if h, err := registryhost.Parse(name); err != nil || h.HasPort() || !strings.Contains(name, ".") {
				return nil, fmt.Errorf("--google-universes: %q is not <domain of the APIs>=<suffix of registry hosts>, such as s3nsapis.fr=s3nsregistry.fr", text)
			}
		}
		if domain == googleapis || suffix == "pkg.dev" || suffix == "gcr.io" || all[suffix] != "" {
			return nil, fmt.Errorf("--google-universes: %q is Google Cloud's own, or is there twice", text)
		}
		all[suffix] = domain
	}
	return all, nil
}

// location is where the repositories of a host are, empty for all locations, and in which universe; false if the host is none of Google's.
func (u universes) location(host string) (location, universe string, ok bool) {
	if _, err := registryhost.Parse(host); err != nil {
		return "", "", false
	}
	if location, ok := containerRegistry[host]; ok {
		return location, googleapis, true
	}
	for _, form := range packageHosts {
		if match := form.FindStringSubmatch(host); match != nil {
			return match[1], googleapis, true
		}
	}
	first, suffix, _ := strings.Cut(host, ".")
	match := otherHost.FindStringSubmatch(first)
	if match == nil || u[suffix] == "" {
		return "", "", false
	}
	return match[1], u[suffix], true
}

// universeOf comes before everything else: for a host that is not Google's no token is even asked for. A token is one universe's.
func (u universes) universeOf(hosts []string) (string, error) {
	if len(hosts) == 0 {
		return "", providers.Errorf(v1alpha1.ReasonInvalidRequest, "artifactRegistry.hosts is empty: name the hosts that the Secret is for")
	}
	var found []string
	for _, host := range hosts {
		_, universe, ok := u.location(host)
		if !ok {
			return "", providers.Errorf(v1alpha1.ReasonInvalidRequest, "artifactRegistry.hosts has one that is not of Artifact Registry: "+
				"use <location>-docker.pkg.dev, docker.<region>.rep.pkg.dev, gcr.io, us.gcr.io, eu.gcr.io, asia.gcr.io, marketplace.gcr.io%s", u.more())
		}
		if !slices.Contains(found, universe) {
			found = append(found, universe)
		}
	}
	if len(found) > 1 {
		return "", providers.Errorf(v1alpha1.ReasonInvalidRequest, "artifactRegistry.hosts are of several universes, and a token is good in one: use an entry for each")
	}
	return found[0], nil
}

// more are the suffixes that the administrator has added, in words.
func (u universes) more() string {
	if len(u) == 0 {
		return ", or have the administrator add another universe with --google-universes"
	}
	return " or a host of " + strings.Join(slices.Sorted(maps.Keys(u)), ", ")
}
