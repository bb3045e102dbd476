package main

import (
	"context"
	"errors"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

// issuer is the cluster's, to the clouds that trust it.
const issuer = "https://cluster.regcred.test"

const (
	azureHost   = "myregistry.azurecr.io"
	azureApp    = "6b7ad8a9-1a7e-4a2b-b3a4-2f8e3a4c9d10"
	jfrogHost   = "docker-local." + cloud.DefaultJFrogHost
	googleHost  = "europe-west1-docker.pkg.dev"
	severalRole = "arn:aws:iam::" + cloud.DefaultAccount + ":role/several-pull"
)

// puller is the ServiceAccount that is the identity in every cloud that knows such.
const puller = "puller"

// oneRegistry is an entry of the Secret for several registries, and an image that it can pull.
type oneRegistry struct {
	entry            v1alpha1.Registry
	host, repository string
	store            interface {
		StoreImage(host, repository, tag string, image v1.Image) (digest string, err error)
	}
}

// clouds are the emulators of one Internet, and the registries of one Secret that are in them.
type clouds struct {
	registries []oneRegistry
	running    []io.Closer
}

func (c *clouds) Close() error {
	var errs []error
	for _, emulator := range c.running {
		errs = append(errs, emulator.Close())
	}
	return errors.Join(errs...)
}

// startClouds starts the emulators beside AWS, with an identity in each for the ServiceAccount puller of the namespace.
func (e *e2e) startClouds(ctx context.Context, namespace string) (*clouds, error) {
	c := &clouds{}
	subject := "system:serviceaccount:" + namespace + ":" + puller
	for _, start := range []func(*clouds, string) error{e.addAmazon, e.addGoogle, e.addAzure, e.addJFrog} {
		if err := start(c, subject); err != nil {
			return c, err
		}
	}
	return c, e.addDockerHub(ctx, c, namespace)
}

func (c *clouds) add(r oneRegistry) {
	if r.entry.Static == nil {
		r.entry.Identity = &v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: puller}}
	}
	c.registries = append(c.registries, r)
}

func (e *e2e) addAmazon(c *clouds, subject string) error {
	const repository = "several/app"
	c.add(oneRegistry{
		entry: v1alpha1.Registry{Name: "amazon", ECR: &v1alpha1.ECR{Region: region, Accounts: []string{cloud.DefaultAccount}}},
		host:  registry, repository: repository, store: e.lab.AWS,
	})
	return e.lab.AWS.AddRole(cloud.Role{
		ARN: severalRole, WebIdentity: &cloud.WebIdentity{Subject: subject, Audience: "sts.amazonaws.com"},
		MayGetToken: true, Pull: []string{cloud.DefaultAccount + "/" + repository},
	})
}

func (e *e2e) addGoogle(c *clouds, subject string) error {
	google, err := cloud.StartGoogle(cloud.GoogleOptions{Internet: e.lab.AWS.Internet()})
	if err != nil {
		return err
	}
	c.running = append(c.running, google)
	pool := cloud.GoogleIdentityProvider{
		Name:   "projects/123456789012/locations/global/workloadIdentityPools/my-pool/providers/my-cluster",
		Issuer: issuer,
	}
	google.AddIdentityProvider(pool)
	google.SetPull(pool.Member(subject), "projects/my-project/locations/europe-west1/repositories/apps")
	c.add(oneRegistry{
		entry: v1alpha1.Registry{Name: "google", ArtifactRegistry: &v1alpha1.ArtifactRegistry{
			Hosts: []string{googleHost}, WorkloadIdentityProvider: pool.Name,
		}},
		host: googleHost, repository: "my-project/apps/app", store: google,
	})
	return nil
}

func (e *e2e) addAzure(c *clouds, subject string) error {
	azure, err := cloud.StartAzure(cloud.AzureOptions{Internet: e.lab.AWS.Internet()})
	if err != nil {
		return err
	}
	c.running = append(c.running, azure)
	azure.AddApplication(cloud.AzureApplication{ClientID: azureApp, Federated: []cloud.AzureFederatedCredential{{
		Issuer: issuer, Subject: subject, Audience: "api://AzureADTokenExchange",
	}}})
	azure.AssignRole(cloud.AzureRoleAssignment{Registry: azureHost, ClientID: azureApp, Role: cloud.AzureAcrPull})
	c.add(oneRegistry{
		entry: v1alpha1.Registry{Name: "azure", ACR: &v1alpha1.ACR{Registry: azureHost}},
		host:  azureHost, repository: "team/app", store: azure,
	})
	return azure.AddRegistry(cloud.AzureRegistry{Host: azureHost})
}

func (e *e2e) addJFrog(c *clouds, subject string) error {
	const platform = "https://" + cloud.DefaultJFrogHost
	jfrog, err := cloud.StartJFrog(cloud.JFrogOptions{Internet: e.lab.AWS.Internet()})
	if err != nil {
		return err
	}
	c.running = append(c.running, jfrog)
	jfrog.AddUser(cloud.JFrogUser{Name: puller, Groups: []string{"readers"}})
	jfrog.SetReadable("readers", "docker-local")
	jfrog.AddProvider(cloud.JFrogProvider{Name: "cluster", Issuer: issuer, Audience: platform, Mappings: []cloud.JFrogIdentityMapping{
		{Name: "puller", Claims: map[string]string{"sub": subject}, Username: puller},
	}})
	c.add(oneRegistry{
		entry: v1alpha1.Registry{Name: "jfrog", Artifactory: &v1alpha1.Artifactory{
			URL: platform, Hosts: []v1alpha1.Host{jfrogHost}, ProviderName: "cluster", IdentityMappingName: "puller",
		}},
		host: jfrogHost, repository: "team/app", store: jfrog,
	})
	return nil
}

// addDockerHub keeps a personal access token in a Secret: the Hub knows no other identities.
func (e *e2e) addDockerHub(ctx context.Context, c *clouds, namespace string) error {
	hub, err := cloud.StartDockerHub(cloud.DockerHubOptions{Internet: e.lab.AWS.Internet()})
	if err != nil {
		return err
	}
	c.running = append(c.running, hub)
	token := hub.AddUser(cloud.HubUser{Name: "acme", Pull: []string{"acme/*"}})
	c.add(oneRegistry{
		entry: v1alpha1.Registry{
			Name: "hub", Static: &v1alpha1.Static{Host: "docker.io"},
			Identity: &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: "hub"}},
		},
		host: "docker.io", repository: "acme/app", store: hub,
	})
	return e.lab.Client.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "hub", Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}},
		StringData: map[string]string{"username": "acme", "password": token},
	})
}
