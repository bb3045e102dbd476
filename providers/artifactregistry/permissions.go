package artifactregistry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	artifactregistry "cloud.google.com/go/artifactregistry/apiv1"
	"cloud.google.com/go/iam/apiv1/iampb"
	"google.golang.org/api/option"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

const (
	permission = "artifactregistry.repositories.downloadArtifacts"
	role       = "roles/artifactregistry.reader"
	// checkTimeout bounds the check of all repositories, so that an API that hangs leaves the token time to be published.
	checkTimeout = 10 * time.Second
)

// checkRepositories asks with the very token that is to be published. Only an answer can condemn it: an API that is down says nothing
// about the token, and the registry may well be up.
func (c *call) checkRepositories(ctx context.Context, token accessToken) error {
	if len(c.spec.Repositories) == 0 {
		return nil
	}
	resources, err := c.resources()
	if err != nil {
		return err
	}
	checking, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	client, err := artifactregistry.NewRESTClient(checking, option.WithLogger(silent), option.WithUniverseDomain(c.universe), option.WithEndpoint(c.api("artifactregistry")),
		option.WithHTTPClient(&http.Client{Transport: bearer{token.value, c.client(c.apis).Transport}}))
	if err != nil {
		return providers.Errorf(v1alpha1.ReasonInternal, "the client of the Artifact Registry API cannot be set up: "+
			"check the GOOGLE_ variables of the controller")
	}
	defer func() { _ = client.Close() }() // over REST there is nothing to close
	for _, resource := range resources {
		answer, err := client.TestIamPermissions(checking, &iampb.TestIamPermissionsRequest{Resource: resource, Permissions: []string{permission}})
		if err != nil {
			failure := explain("testIamPermissions on "+resource, token.holder, err)
			if _, answered := errors.AsType[*refusal](err); ctx.Err() != nil || answered && failure.Reason != v1alpha1.ReasonThrottled &&
				failure.Reason != v1alpha1.ReasonUnavailable {
				return failure
			}
			return nil
		}
		if !slices.Contains(answer.GetPermissions(), permission) {
			return c.lacks(resource, token)
		}
	}
	return nil
}

// resources are the names of the repositories in the Artifact Registry API.
func (c *call) resources() ([]string, error) {
	if len(c.spec.Hosts) != 1 || c.spec.Project == "" {
		return nil, providers.Errorf(v1alpha1.ReasonInvalidRequest, "artifactRegistry.repositories needs project and exactly one host: use an entry for each host")
	}
	host := c.spec.Hosts[0]
	where, _, _ := c.universes.location(host) // checked by universeOf
	if where == "" {
		return nil, providers.Errorf(v1alpha1.ReasonInvalidRequest, "artifactRegistry.repositories needs a host that names its location: use <location>-%s", host)
	}
	_, gcr := containerRegistry[host]
	var resources []string
	for _, repository := range c.spec.Repositories {
		if gcr && repository != host {
			return nil, providers.Errorf(v1alpha1.ReasonInvalidRequest, "the repository behind %s is called %s: list that in artifactRegistry.repositories", host, host)
		}
		resources = append(resources, fmt.Sprintf("projects/%s/locations/%s/repositories/%s", c.spec.Project, where, repository))
	}
	return resources, nil
}

func (c *call) lacks(resource string, token accessToken) error {
	whom := token.holder
	if token.member != "" {
		whom = token.member
	}
	return providers.Errorf(v1alpha1.ReasonAccessDenied, "%s lacks the permission %s on %s, or the repository does not exist: grant %s on it to %s",
		token.holder, permission, resource, role, whom)
}
