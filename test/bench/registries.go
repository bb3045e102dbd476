package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/lab"
	"github.com/regcred/regcred/test/plugins"
)

// What the clouds know of the identities, which are in the controller's namespace.
const (
	puller        = "puller" // a ServiceAccount
	pullerSubject = "system:serviceaccount:" + lab.Namespace + ":" + puller
	hubSecret     = "hub"
	hubUser       = "acme"

	pullRole    = "arn:aws:iam::" + cloud.DefaultAccount + ":role/bench-pull"
	googlePool  = "projects/123456789012/locations/global/workloadIdentityPools/my-pool/providers/my-cluster"
	azureClient = "6b7ad8a9-1a7e-4a2b-b3a4-2f8e3a4c9d10"
	azureHost   = "myregistry.azurecr.io"
	jfrogOIDC   = "cluster"

	ecrRegistry = cloud.DefaultAccount + ".dkr.ecr." + region + ".amazonaws.com"
	// pluginRegistry is in another region, so that one Secret may hold both.
	pluginRegistry = cloud.DefaultAccount + ".dkr.ecr.eu-central-1.amazonaws.com"
)

// provider is one of Regcred's, with an entry for it and what shows how often it was asked.
type provider struct {
	name  string
	entry v1alpha1.Registry
	// mints counts how often a token was obtained, since the clouds' calls were last reset and since a point in time.
	mints func(since time.Time) (int, error)
	// image is one that a token of the entry may pull.
	image string
}

// everyProviderOf are the providers, as they are set up by prepareClouds.
func (b *bench) everyProviderOf() []provider {
	as := func(entry v1alpha1.Registry, identity *v1alpha1.Identity) v1alpha1.Registry {
		entry.Identity = identity
		return entry
	}
	account := &v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: puller}}
	jfrog := strings.TrimPrefix(b.JFrog.URL(), "https://")
	return []provider{
		{"ecr", as(ecrOf(cloud.DefaultAccount), account),
			b.ecrMints, ecrRegistry + "/bench/app:v1"},
		{"ecrPublic", as(v1alpha1.Registry{Name: "public", ECRPublic: &v1alpha1.ECRPublic{}}, account),
			b.countOf(cloud.ActionGetPublicAuthorizationToken), "public.ecr.aws/bench/app:v1"},
		{"artifactRegistry", as(v1alpha1.Registry{Name: "google", ArtifactRegistry: &v1alpha1.ArtifactRegistry{
			Hosts: []string{"europe-west1-docker.pkg.dev"}, WorkloadIdentityProvider: googlePool}}, account),
			b.countOf(cloud.ActionGoogleExchange), "europe-west1-docker.pkg.dev/my-project/bench/app:v1"},
		{"acr", as(v1alpha1.Registry{Name: "azure", ACR: &v1alpha1.ACR{Registry: azureHost}}, account),
			b.countOf(cloud.ActionACRExchange), azureHost + "/bench/app:v1"},
		{"artifactory", as(artifactoryOf(b.JFrog.URL()), account),
			b.countOf(cloud.ActionJFrogExchangeToken), jfrog + "/bench/app:v1"},
		{"static", as(v1alpha1.Registry{Name: "hub", Static: &v1alpha1.Static{Host: "docker.io"}},
			&v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: hubSecret}}), b.readsOfSource, "docker.io/acme/bench:v1"},
		{"plugin", v1alpha1.Registry{Name: "plugin", Plugin: &v1alpha1.Plugin{Name: plugins.ECR, Image: pluginRegistry + "/bench/app"}},
			b.executions, pluginRegistry + "/bench/app:v1"},
	}
}

func artifactoryOf(url string) v1alpha1.Registry {
	return v1alpha1.Registry{Name: "jfrog", Artifactory: &v1alpha1.Artifactory{URL: url, ProviderName: jfrogOIDC}}
}

// prepareClouds makes the identities, lets them pull one image of each registry, and installs the plugin.
func (b *bench) prepareClouds(ctx context.Context) error {
	progress("setting up every provider")
	issuer, err := b.Issuer(ctx)
	if err != nil {
		return err
	}
	if err := b.AWS.AddRole(cloud.Role{
		ARN: pullRole, WebIdentity: &cloud.WebIdentity{Issuer: issuer, Subject: pullerSubject, Audience: "sts.amazonaws.com"},
		MayGetToken: true, Pull: []string{cloud.DefaultAccount + "/bench/*"},
		Public: cloud.ECRPublicPermissions{MayGetToken: true, MayGetServiceBearerToken: true},
	}); err != nil {
		return err
	}
	pool := cloud.GoogleIdentityProvider{Name: googlePool, Issuer: issuer, Subjects: []string{pullerSubject}}
	b.Google.AddIdentityProvider(pool)
	b.Google.SetPull(pool.Member(pullerSubject), "projects/my-project/locations/europe-west1/repositories/bench")
	b.Azure.AddApplication(cloud.AzureApplication{ClientID: azureClient, Federated: []cloud.AzureFederatedCredential{
		{Issuer: issuer, Subject: pullerSubject, Audience: "api://AzureADTokenExchange"},
	}})
	if err := b.Azure.AddRegistry(cloud.AzureRegistry{Host: azureHost}); err != nil {
		return err
	}
	b.Azure.AssignRole(cloud.AzureRoleAssignment{Registry: azureHost, ClientID: azureClient, Role: cloud.AzureAcrPull})
	b.JFrog.AddUser(cloud.JFrogUser{Name: puller, Groups: []string{"readers"}})
	b.JFrog.SetReadable("readers", "bench")
	b.JFrog.AddProvider(cloud.JFrogProvider{Name: jfrogOIDC, Issuer: issuer, Audience: b.JFrog.URL(), Mappings: []cloud.JFrogIdentityMapping{
		{Name: "bench", Claims: map[string]string{"sub": pullerSubject}, Username: puller},
	}})
	token := b.DockerHub.AddUser(cloud.HubUser{Name: hubUser, Pull: []string{"acme/*"}})
	if err := b.createIdentities(ctx, token); err != nil {
		return err
	}
	if err := b.seedImages(); err != nil {
		return err
	}
	return b.installPlugin(ctx)
}

func (b *bench) createIdentities(ctx context.Context, hubToken string) error {
	err := b.Client.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{
		Namespace: lab.Namespace, Name: puller,
		Annotations: map[string]string{
			"eks.amazonaws.com/role-arn":        pullRole,
			"azure.workload.identity/client-id": azureClient, "azure.workload.identity/tenant-id": cloud.AzureTenant,
		},
	}})
	if err != nil {
		return err
	}
	return b.Client.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: lab.Namespace, Name: hubSecret, Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity},
		},
		Type: corev1.SecretTypeBasicAuth, StringData: map[string]string{"username": hubUser, "password": hubToken},
	})
}

func (b *bench) seedImages() error {
	type seed = func(host, repository, tag string) (string, error)
	hub := func(_, repository, tag string) (string, error) { return b.DockerHub.SeedImage(repository, tag) }
	in := map[string]seed{
		"ecr": b.AWS.SeedImage, "ecrPublic": b.AWS.SeedImage, "artifactRegistry": b.Google.SeedImage, "acr": b.Azure.SeedImage,
		"artifactory": b.JFrog.SeedImage, "static": hub, "plugin": b.AWS.SeedImage,
	}
	for _, p := range b.everyProviderOf() {
		host, rest, _ := strings.Cut(p.image, "/")
		repository, tag, _ := strings.Cut(rest, ":")
		if _, err := in[p.name](host, repository, tag); err != nil {
			return fmt.Errorf("seeding %s: %w", p.image, err)
		}
	}
	return nil
}

// cloudCalls is what was called of all clouds.
func (b *bench) cloudCalls() cloud.Calls {
	all := cloud.Calls{}
	for _, c := range []cloud.Calls{b.AWS.Calls(), b.Google.Calls(), b.Azure.Calls(), b.JFrog.Calls(), b.DockerHub.Calls()} {
		maps.Copy(all, c)
	}
	return all
}

func (b *bench) resetCloudCalls() error {
	for _, c := range []interface{ ResetCalls() }{b.AWS, b.Google, b.Azure, b.JFrog, b.DockerHub} {
		c.ResetCalls()
	}
	return os.WriteFile(b.executionLog(), nil, 0o600)
}

// called tells of calls, failed ones with their code.
func called(calls cloud.Calls) tally {
	t := tally{}
	for outcome, n := range calls {
		what := outcome.Action
		if outcome.Code != "" {
			what += " (" + outcome.Code + ")"
		}
		t[what] = n
	}
	return t
}

func (b *bench) countOf(action string) func(time.Time) (int, error) {
	return func(time.Time) (int, error) { return b.cloudCalls().Of(action), nil }
}

// ecrMints leaves out what the plugin has called.
func (b *bench) ecrMints(since time.Time) (int, error) {
	executions, err := b.executions(since)
	return b.cloudCalls().Of(cloud.ActionGetAuthorizationToken) - executions, err
}

// readsOfSource counts how often the controller has read the Secret that a static entry comes from.
func (b *bench) readsOfSource(since time.Time) (int, error) {
	reads, err := b.AuditRequests(since, func(r controlplane.AuditRequest) bool {
		return r.User == controllerUser && r.Verb == "get" && r.Resource == "secrets" && r.Namespace == lab.Namespace && r.Name == hubSecret
	})
	return len(reads), err
}
