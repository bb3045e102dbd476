package plugin

import (
	"context"
	"strings"
	"time"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// tokenLife is what the kubelet's tokens for plugins have: it asks for no lifetime, and an hour is Kubernetes' default.
const tokenLife = time.Hour

// subject is the ServiceAccount on whose behalf a plugin is asked; the zero value for none.
type subject struct {
	token       string
	expiresAt   time.Time
	annotations map[string]string
}

// subject is what the configuration of the plugin lets it know of the identity. The audience of the token is the administrator's choice
// alone: a token for another could be used elsewhere.
func (p *plugin) subject(ctx context.Context, id providers.Identity, now time.Time) (subject, error) {
	attributes := p.config.TokenAttributes
	sa := id.ServiceAccount
	switch {
	case id.Secret != nil:
		return subject{}, terminal("plugin %s takes no identity.secretRef: name a ServiceAccount, or remove identity", p.name)
	case sa == nil && attributes != nil && *attributes.RequireServiceAccount:
		return subject{}, terminal("plugin %s requires a ServiceAccount: set identity.serviceAccountRef", p.name)
	case sa == nil:
		return subject{}, nil
	case attributes == nil:
		return subject{}, terminal("plugin %s takes no ServiceAccount's token: remove identity, or have tokenAttributes set for it in "+
			"the controller's --image-credential-provider-config", p.name)
	}
	annotations, err := p.annotations(attributes, sa)
	if err != nil {
		return subject{}, err
	}
	token, err := sa.RequestToken(ctx, attributes.ServiceAccountTokenAudience, tokenLife)
	if err != nil {
		return subject{}, err
	}
	expiresAt, ok := ownExpiry(token, now)
	if !ok {
		expiresAt = now.Add(tokenLife)
	}
	return subject{token: token, expiresAt: expiresAt, annotations: annotations}, nil
}

func (p *plugin) annotations(attributes *kubeletconfig.ServiceAccountTokenAttributes, sa *providers.ServiceAccount) (map[string]string, error) {
	known := map[string]string{}
	var missing []string
	for _, key := range attributes.RequiredServiceAccountAnnotationKeys {
		value, ok := sa.Annotations[key]
		if !ok {
			missing = append(missing, key)
		}
		known[key] = value
	}
	if len(missing) > 0 {
		return nil, providers.Errorf(v1alpha1.ReasonIdentityInvalid, "%s lacks what plugin %s requires: annotate it with %s",
			sa, p.name, strings.Join(missing, ", "))
	}
	for _, key := range attributes.OptionalServiceAccountAnnotationKeys {
		if value, ok := sa.Annotations[key]; ok {
			known[key] = value
		}
	}
	return known, nil
}
