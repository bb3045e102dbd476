package artifactregistry

import (
	"regexp"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/registryhost"
)

// packageHost is the host of the Docker repositories in one location, which may be a region or a multi-region.
var packageHost = regexp.MustCompile(`^([a-z]+(?:-[a-z]+[0-9]+)?)-docker\.pkg\.dev$`)

// containerRegistry are the hosts of the former Container Registry, by the location of the repositories behind them
// (https://cloud.google.com/artifact-registry/docs/transition/setup-gcr-repo).
var containerRegistry = map[string]string{"gcr.io": "us", "us.gcr.io": "us", "eu.gcr.io": "europe", "asia.gcr.io": "asia"}

// location is where the repositories of a host are; false if the host is none of Google's.
func location(host string) (string, bool) {
	if _, err := registryhost.Parse(host); err != nil {
		return "", false
	}
	if location, ok := containerRegistry[host]; ok {
		return location, true
	}
	match := packageHost.FindStringSubmatch(host)
	if match == nil {
		return "", false
	}
	return match[1], true
}

// checkHosts comes before everything else: for a host that is not Google's no token is even asked for.
func checkHosts(hosts []string) error {
	for _, host := range hosts {
		if _, ok := location(host); !ok {
			return providers.Errorf(v1alpha1.ReasonInvalidRequest, "artifactRegistry.hosts has one that is not of Artifact Registry: "+
				"use <location>-docker.pkg.dev, gcr.io, us.gcr.io, eu.gcr.io or asia.gcr.io")
		}
	}
	if len(hosts) == 0 {
		return providers.Errorf(v1alpha1.ReasonInvalidRequest, "artifactRegistry.hosts is empty: name the hosts that the Secret is for")
	}
	return nil
}
