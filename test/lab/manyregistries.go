package lab

import (
	"context"
	"encoding/json"

	"github.com/regcred/regcred/test/cloud"
)

// The names in config/samples/many-registries.yaml.
const (
	ManyNamespace  = "team-c"
	ManyCredential = "many-registries"
	ManyRole       = "arn:aws:iam::123456789012:role/team-c-pull"

	manySubject  = "system:serviceaccount:" + ManyNamespace + ":puller"
	manyClient   = "6b7ad8a9-1a7e-4a2b-b3a4-2f8e3a4c9d10"
	manyTenant   = "72f988bf-86f1-41af-91ab-2d7cd011db47"
	manyProvider = "projects/123456789012/locations/global/workloadIdentityPools/my-pool/providers/my-cluster"
	manyUser     = "acme"
)

// ManyImages are what the credential of the sample may pull: one image of each registry, and no other repository.
var ManyImages = []string{
	"123456789012.dkr.ecr.eu-west-1.amazonaws.com/team-c/app:v1",
	"europe-west1-docker.pkg.dev/my-project/apps/app:v1",
	"myregistry.azurecr.io/team-c/app:v1",
	"docker.io/acme/app:v1",
}

// PrepareManyRegistries sets the clouds up for the sample, each with the least that lets its ServiceAccount, or its user of Docker Hub,
// pull the image. It returns that user's name and access token.
func (l *Lab) PrepareManyRegistries(ctx context.Context) (user, token string, err error) {
	issuer, err := l.Issuer(ctx)
	if err != nil {
		return "", "", err
	}
	err = l.AWS.AddRole(cloud.Role{
		ARN:         ManyRole,
		WebIdentity: &cloud.WebIdentity{Issuer: issuer, Subject: manySubject, Audience: "sts.amazonaws.com"},
		MayGetToken: true, Pull: []string{cloud.DefaultAccount + "/team-c/*"},
	})
	if err != nil {
		return "", "", err
	}
	pool := cloud.GoogleIdentityProvider{Name: manyProvider, Issuer: issuer, Subjects: []string{manySubject}}
	l.Google.AddIdentityProvider(pool)
	l.Google.SetPull(pool.Member(manySubject), "projects/my-project/locations/europe-west1/repositories/apps")
	l.Azure.AddApplication(cloud.AzureApplication{ClientID: manyClient, Tenant: manyTenant, Federated: []cloud.AzureFederatedCredential{
		{Issuer: issuer, Subject: manySubject, Audience: "api://AzureADTokenExchange"},
	}})
	if err := l.Azure.AddRegistry(cloud.AzureRegistry{Host: "myregistry.azurecr.io", Tenant: manyTenant}); err != nil {
		return "", "", err
	}
	l.Azure.AssignRole(cloud.AzureRoleAssignment{Registry: "myregistry.azurecr.io", ClientID: manyClient, Role: cloud.AzureAcrPull})
	token = l.DockerHub.AddUser(cloud.HubUser{Name: manyUser, Pull: []string{"acme/*"}})
	return manyUser, token, l.seedManyImages()
}

func (l *Lab) seedManyImages() error {
	if _, err := l.AWS.SeedImage("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "team-c/app", "v1"); err != nil {
		return err
	}
	if _, err := l.Google.SeedImage("europe-west1-docker.pkg.dev", "my-project/apps/app", "v1"); err != nil {
		return err
	}
	if _, err := l.Azure.SeedImage("myregistry.azurecr.io", "team-c/app", "v1"); err != nil {
		return err
	}
	_, err := l.DockerHub.SeedImage("acme/app", "v1")
	return err
}

// PublishKeys lets the clouds of an Internet know the keys of the cluster's ServiceAccount tokens: they take no others then.
func (l *Lab) PublishKeys(ctx context.Context, internet *cloud.Internet) error {
	issuer, err := l.Issuer(ctx)
	if err != nil {
		return err
	}
	keys, err := l.Kubectl(ctx, "get", "--raw", "/openid/v1/jwks")
	if err != nil {
		return err
	}
	return internet.PublishKeys(issuer, keys)
}

// Issuer is who the cluster's ServiceAccount tokens say has issued them.
func (l *Lab) Issuer(ctx context.Context) (string, error) {
	raw, err := l.Kubectl(ctx, "get", "--raw", "/.well-known/openid-configuration")
	if err != nil {
		return "", err
	}
	var discovery struct {
		Issuer string `json:"issuer"`
	}
	return discovery.Issuer, json.Unmarshal(raw, &discovery)
}
