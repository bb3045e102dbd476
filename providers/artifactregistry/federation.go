package artifactregistry

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/auth/credentials/externalaccount"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

const (
	jwtTokenType = "urn:ietf:params:oauth:token-type:jwt"

	// subjectLife is asked for the ServiceAccount's token: what it is exchanged for lives for an hour and never outlives it, and the few
	// minutes more keep a slow exchange and a clock that goes wrong from shortening the hour.
	subjectLife = time.Hour + 5*time.Minute
)

var (
	providerName = regexp.MustCompile(`^projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9-]{4,32}/providers/[a-z0-9-]{4,32}$`)
	membership   = regexp.MustCompile(`^projects/((?:[a-z][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9])/locations/[a-z0-9-]+/memberships/[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)
	clusterName  = regexp.MustCompile(`^projects/((?:[a-z][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9])/locations/[a-z0-9-]+/clusters/[a-z][a-z0-9-]{0,39}$`)
)

// exchange is where a token of a ServiceAccount is exchanged for an access token.
type exchange struct {
	// subjectAudience is that of the ServiceAccount's token, audience that of the exchange.
	subjectAudience, audience string
	// where is the exchange in words.
	where string
	// member is the ServiceAccount's name in IAM.
	member string
}

// federated exchanges a token of the ServiceAccount.
func (c *call) federated(ctx context.Context) (accessToken, error) {
	at, err := c.exchange(ctx)
	if err != nil {
		return accessToken{}, err
	}
	sa := c.id.ServiceAccount
	subject, err := sa.RequestToken(ctx, at.subjectAudience, subjectLife)
	if err != nil {
		return accessToken{}, err
	}
	token, err := c.exchanged(ctx, at.audience, jwtTokenType, subject)
	if err != nil {
		return accessToken{}, explainFederation(at, sa, err)
	}
	token.holder, token.member = sa.String(), at.member
	return token, nil
}

func (c *call) exchange(ctx context.Context) (exchange, error) {
	sa := c.id.ServiceAccount
	if provider := c.spec.WorkloadIdentityProvider; provider != "" {
		if !providerName.MatchString(provider) {
			return exchange{}, providers.Errorf(v1alpha1.ReasonInvalidRequest, "artifactRegistry.workloadIdentityProvider is not the resource name of a provider: "+
				"correct it, such as to projects/123456789012/locations/global/workloadIdentityPools/my-pool/providers/my-cluster")
		}
		pool, _, _ := strings.Cut(provider, "/providers/")
		return exchange{
			subjectAudience: "https://iam.googleapis.com/" + provider,
			audience:        "//iam.googleapis.com/" + provider,
			where:           provider,
			member:          fmt.Sprintf("principal://iam.googleapis.com/%s/subject/system:serviceaccount:%s:%s", pool, sa.Namespace, sa.Name),
		}, nil
	}
	if fleet := c.spec.FleetMembership; fleet != "" {
		match := membership.FindStringSubmatch(fleet)
		if match == nil {
			return exchange{}, providers.Errorf(v1alpha1.ReasonInvalidRequest, "artifactRegistry.fleetMembership is not the resource name of a membership: "+
				"correct it, such as to projects/my-project/locations/global/memberships/my-cluster")
		}
		return c.namespaced(match[1], "https://gkehub."+c.universe+"/"+fleet, fleet), nil
	}
	cluster := c.spec.GKECluster
	if cluster == "" {
		var err error
		if cluster, err = c.ownCluster(ctx); err != nil {
			return exchange{}, err
		}
	}
	match := clusterName.FindStringSubmatch(cluster)
	if match == nil {
		return exchange{}, providers.Errorf(v1alpha1.ReasonInvalidRequest, "artifactRegistry.gkeCluster is not the resource name of a cluster: "+
			"correct it, such as to projects/my-project/locations/europe-west1/clusters/my-cluster")
	}
	return c.namespaced(match[1], "https://container."+c.universe+"/v1/"+cluster, cluster), nil
}

// namespaced is an exchange in the identity namespace of a project, for the cluster or membership with this URL.
func (c *call) namespaced(project, url, name string) exchange {
	sa, namespace := c.id.ServiceAccount, project+".svc.id.goog"
	return exchange{
		subjectAudience: namespace,
		audience:        "identitynamespace:" + namespace + ":" + url,
		where:           "the identity namespace of " + name,
		member:          fmt.Sprintf("serviceAccount:%s[%s/%s]", namespace, sa.Namespace, sa.Name),
	}
}

// ownCluster is the name of the GKE cluster that the controller runs in.
func (c *call) ownCluster(ctx context.Context) (string, error) {
	if !c.metadata().OnGCEWithContext(ctx) {
		if ctx.Err() != nil {
			return "", explainMetadata(ctx.Err())
		}
		return "", noCluster()
	}
	var parts []any
	for _, key := range []string{"project/project-id", "instance/attributes/cluster-location", "instance/attributes/cluster-name"} {
		value, err := c.metadata().GetWithContext(ctx, key)
		if refused, ok := errors.AsType[*refusal](err); ok && refused.status < 500 && refused.status != 429 {
			return "", noCluster()
		}
		if err != nil {
			return "", explainMetadata(err)
		}
		parts = append(parts, strings.TrimSpace(value))
	}
	return fmt.Sprintf("projects/%s/locations/%s/clusters/%s", parts...), nil
}

func noCluster() *providers.Error {
	return providers.Errorf(v1alpha1.ReasonInvalidRequest, "it is not known where the ServiceAccount's token is to be exchanged, since the controller does not run on GKE: "+
		"set artifactRegistry.workloadIdentityProvider, gkeCluster or fleetMembership")
}

// subjectToken is a token that is at hand.
type subjectToken string

// SubjectToken implements externalaccount.SubjectTokenProvider.
func (s subjectToken) SubjectToken(context.Context, *externalaccount.RequestOptions) (string, error) {
	return string(s), nil
}

// exchanged is what the Security Token Service gives for a token of somebody else.
func (c *call) exchanged(ctx context.Context, audience, tokenType, subject string) (accessToken, error) {
	creds, err := externalaccount.NewCredentials(&externalaccount.Options{
		Audience: audience, SubjectTokenType: tokenType, TokenURL: c.api("sts") + "/v1/token", Scopes: []string{c.scope(!c.impersonates)},
		SubjectTokenProvider: subjectToken(subject), Client: c.client(c.apis), Logger: silent,
	})
	if err != nil {
		return accessToken{}, err
	}
	token, err := creds.Token(ctx)
	if err != nil {
		return accessToken{}, err
	}
	return accessToken{value: token.Value, expiresAt: c.lasting(token)}, valid(token)
}
