package artifactory

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/audience"
	"github.com/regcred/regcred/providers/internal/awsauth"
	"github.com/regcred/regcred/providers/internal/registryhost"
)

// Options are what New takes beside the clock. Platforms are named by their URL, as entries name them.
type Options struct {
	// Audiences are what the administrator has bound to platforms besides their URL, each as <URL>=<audience>
	// (--artifactory-audiences).
	Audiences []string
	// AWSPlatforms are shown signatures of AWS roles, as are https://<name>.jfrog.io (--artifactory-aws-platforms).
	AWSPlatforms []string
	// AWS is the configuration of all who call AWS.
	AWS *awsauth.Configuration
	// Transport reaches JFrog; nil for the network.
	Transport http.RoundTripper
}

// bound reads the options: audiences by platform, and platforms.
func (o Options) bound() (audiences map[string][]string, platforms []string, err error) {
	audiences = map[string][]string{}
	for _, text := range o.Audiences {
		url, name, ok := strings.Cut(text, "=")
		switch owner := audience.OwnerOf(name); {
		case !ok || name == "" || !isPlatform(url):
			return nil, nil, fmt.Errorf("--artifactory-audiences: %q is not <URL of a platform>=<audience>, such as https://acme.jfrog.io=jfrog", text)
		case owner != "":
			return nil, nil, fmt.Errorf("--artifactory-audiences: %s belongs to %s, and such a token is not for JFrog", name, owner)
		}
		audiences[url] = append(audiences[url], name)
	}
	for _, url := range o.AWSPlatforms {
		if !isPlatform(url) {
			return nil, nil, fmt.Errorf("--artifactory-aws-platforms: %q is not the URL of a platform, such as https://artifactory.example.com", url)
		}
	}
	return audiences, o.AWSPlatforms, nil
}

func isPlatform(url string) bool {
	name, ok := strings.CutPrefix(url, "https://")
	_, err := registryhost.Parse(name)
	return ok && err == nil
}

// audience is that of the ServiceAccount's token: the platform's own URL, or one that the administrator has bound to it. Another would get
// whoever answers at a URL of a tenant's choice a token that is worth something elsewhere.
func (p *Provider) audience(base string, spec *v1alpha1.Artifactory) (string, error) {
	wanted := spec.Audience
	if wanted == "" {
		wanted = base
	}
	switch owner := audience.OwnerOf(wanted); {
	case owner != "":
		return "", invalid("artifactory would ask for a token with an audience of %s, %s, which could be used there: remove artifactory.audience, "+
			"and check artifactory.url", owner, wanted)
	case wanted == base, slices.Contains(p.audiences[base], wanted):
		return wanted, nil
	default:
		return "", invalid("the administrator has not bound the audience of artifactory.audience to %s: remove it, so that the token is for that URL, "+
			"or have it added to the controller's --artifactory-audiences", base)
	}
}

// saas is the domain of JFrog's own platforms.
const saas = ".jfrog.io"

// trustsAWS says whether a platform may be shown the signature of an AWS role.
func (p *Provider) trustsAWS(base string) bool {
	name, ok := strings.CutSuffix(strings.TrimPrefix(base, "https://"), saas)
	return ok && !strings.ContainsAny(name, ".:") || slices.Contains(p.awsPlatforms, base)
}

// invalid is an error that only a change of the entry can mend, or of the controller's configuration, with which it is restarted.
func invalid(format string, args ...any) *providers.Error {
	return &providers.Error{Reason: v1alpha1.ReasonInvalidRequest, Terminal: true, Err: fmt.Errorf(format, args...)}
}

var errNoAWS = errors.New("artifactory.aws is not set up in this controller")
