package docs

import (
	"context"
	"errors"

	"github.com/regcred/regcred/test/cloud"
)

// seed puts into the clouds what the pages speak of: one image in each registry, and the identities that may pull it.
func (w *world) seed(ctx context.Context) error {
	issuer, err := w.Issuer(ctx)
	if err != nil {
		return err
	}
	token := w.DockerHub.AddUser(cloud.HubUser{Name: "acme", Pull: []string{"acme/*"}})
	w.env = append(w.env, "HUB_TOKEN="+token)
	_, err = w.DockerHub.SeedImage("acme/app", "v1")
	return errors.Join(err, w.seedAWS(issuer), w.seedGoogle(issuer), w.seedAzure(issuer), w.seedJFrog(issuer))
}

func (w *world) seedAWS(issuer string) error {
	_, err := w.AWS.SeedImage("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "team/app", "v1")
	errs := []error{err}
	for role, subject := range map[string]string{"team-a-pull": "team-a:ecr-puller", "puller": "regcred-system:puller"} {
		errs = append(errs, w.AWS.AddRole(cloud.Role{
			ARN: "arn:aws:iam::123456789012:role/" + role, MayGetToken: true, Pull: []string{cloud.DefaultAccount + "/team/*"},
			WebIdentity: &cloud.WebIdentity{Issuer: issuer, Subject: "system:serviceaccount:" + subject, Audience: "sts.amazonaws.com"},
		}))
	}
	return errors.Join(errs...)
}

func (w *world) seedGoogle(issuer string) error {
	cluster := cloud.GoogleCluster{Name: cloud.GoogleClusterName, Issuer: issuer}
	w.Google.AddCluster(cluster)
	w.Google.SetNodeCluster(cluster.Name)
	w.Google.SetPull(cluster.Member("regcred-system", "gar-puller"), "projects/my-project/locations/europe-west1/repositories/apps")
	_, err := w.Google.SeedImage("europe-west1-docker.pkg.dev", "my-project/apps/app", "v1")
	return err
}

func (w *world) seedAzure(issuer string) error {
	const client, tenant, registry = "11111111-1111-4111-8111-111111111111", "5b1a2f3c-0d4e-4f60-8a71-92b3c4d5e6f7", "myregistry.azurecr.io"
	w.Azure.AddApplication(cloud.AzureApplication{ClientID: client, Tenant: tenant, Federated: []cloud.AzureFederatedCredential{
		{Issuer: issuer, Subject: "system:serviceaccount:regcred-system:acr-puller", Audience: "api://AzureADTokenExchange"},
	}})
	if err := w.Azure.AddRegistry(cloud.AzureRegistry{Host: registry, Tenant: tenant}); err != nil {
		return err
	}
	w.Azure.AssignRole(cloud.AzureRoleAssignment{Registry: registry, ClientID: client, Role: cloud.AzureAcrPull})
	_, err := w.Azure.SeedImage(registry, "team/app", "v1")
	return err
}

func (w *world) seedJFrog(issuer string) error {
	w.JFrog.AddUser(cloud.JFrogUser{Name: "puller", Groups: []string{"readers"}})
	w.JFrog.SetReadable("readers", "docker-local")
	w.JFrog.AddProvider(cloud.JFrogProvider{Name: "cluster", Issuer: issuer, Audience: w.JFrog.URL(), Mappings: []cloud.JFrogIdentityMapping{{
		Name: "regcred", Claims: map[string]string{"sub": "system:serviceaccount:regcred-system:jfrog-puller"},
		Username: "puller", Scope: "applied-permissions/groups:readers",
	}}})
	_, err := w.JFrog.SeedImage("acme.jfrog.io", "docker-local/app", "v1")
	return err
}
