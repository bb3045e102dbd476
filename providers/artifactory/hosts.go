package artifactory

import (
	"strings"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/registryhost"
)

// hosts reads the entry: the base of the platform's APIs, which is the only place that credentials are sent to, and the registry hosts
// that the token is published for.
func hosts(spec *v1alpha1.Artifactory) (base string, registries []string, err error) {
	name, ok := strings.CutPrefix(spec.URL, "https://")
	platform, err := registryhost.Parse(name)
	if !ok || err != nil {
		return "", nil, &providers.Error{Reason: v1alpha1.ReasonInvalidRequest, Terminal: true, Err: errURL}
	}
	if len(spec.Hosts) == 0 {
		return platform.URL(), []string{platform.String()}, nil
	}
	for _, text := range spec.Hosts {
		host, err := registryhost.Parse(string(text))
		if err != nil {
			return "", nil, &providers.Error{Reason: v1alpha1.ReasonInvalidRequest, Terminal: true, Err: errHost}
		}
		registries = append(registries, host.String())
	}
	return platform.URL(), registries, nil
}
