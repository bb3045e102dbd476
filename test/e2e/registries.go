package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/lab"
	"github.com/regcred/regcred/test/node"
)

const (
	jfrogUser  = "team-c"
	jfrogImage = "acme-docker-local.jfrog.io/team-c/app:v1"
)

// manyRegistries applies the sample of one Secret for the registries of several clouds, adds that of JFrog, and has a pod pull from each.
func manyRegistries(ctx context.Context, e *e2e) (outcome, error) {
	var o outcome
	defer e.discard(ctx, lab.ManyNamespace)
	if err := e.prepareMany(ctx); err != nil {
		return o, err
	}
	images := append([]string{jfrogImage}, lab.ManyImages...)
	for i, image := range images {
		options := podOptions{image: image, pullSecrets: []string{lab.ManyCredential}}
		if _, err := e.createAndRun(ctx, lab.ManyNamespace, fmt.Sprintf("pod-%d", i+1), options); err != nil {
			return o, err
		}
		o.pods++
		host, _, _ := strings.Cut(image, "/")
		o.note("a pod pulls from %s", host)
	}
	failures, err := e.failedPulls(ctx, lab.ManyNamespace)
	if err != nil {
		return o, err
	}
	if o.failedPulls = count(failures); o.failedPulls > 0 {
		return o, fmt.Errorf("%d pulls failed%s", o.failedPulls, firstOf(failures))
	}
	return o, nil
}

// prepareMany returns when the one Secret has live tokens for every registry.
func (e *e2e) prepareMany(ctx context.Context) error {
	user, token, err := e.lab.PrepareManyRegistries(ctx)
	if err != nil {
		return err
	}
	if err := e.storeMany(); err != nil {
		return err
	}
	if _, err := e.lab.Kubectl(ctx, "apply", "-f", filepath.Join(e.lab.Root, "config", "samples", "many-registries.yaml")); err != nil {
		return err
	}
	err = e.lab.Client.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: lab.ManyNamespace, Name: "hub", Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity},
		},
		StringData: map[string]string{"username": user, "password": token},
	})
	if err != nil {
		return err
	}
	if err := e.addJFrog(ctx); err != nil {
		return err
	}
	_, err = await(ctx, e, "RegistryCredential", &v1alpha1.RegistryCredentialList{}, lab.ManyNamespace, lab.ManyCredential,
		func(c *v1alpha1.RegistryCredential) bool {
			ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
			return ready != nil && ready.Reason == v1alpha1.ReasonCurrent && ready.ObservedGeneration == c.Generation
		})
	return err
}

// storeMany stores images that run under the names of those that the sample may pull.
func (e *e2e) storeMany() error {
	stores := map[string]interface {
		StoreImage(host, repository, tag string, image v1.Image) (digest string, err error)
	}{
		"amazonaws.com": e.lab.AWS, "pkg.dev": e.lab.Google, "azurecr.io": e.lab.Azure, "docker.io": e.lab.DockerHub,
		"jfrog.io": e.lab.JFrog,
	}
	for _, name := range append([]string{jfrogImage}, lab.ManyImages...) {
		host, rest, _ := strings.Cut(name, "/")
		repository, tag, _ := strings.Cut(rest, ":")
		image, err := node.Image(e.pause(), name)
		if err != nil {
			return err
		}
		for domain, store := range stores {
			if !strings.HasSuffix(host, domain) {
				continue
			}
			if _, err := store.StoreImage(host, repository, tag, image); err != nil {
				return err
			}
		}
	}
	return nil
}

// addJFrog adds an entry to a credential that is in use.
func (e *e2e) addJFrog(ctx context.Context) error {
	const platform = "https://" + cloud.DefaultJFrogHost
	issuer, err := e.lab.Issuer(ctx)
	if err != nil {
		return err
	}
	e.lab.JFrog.AddUser(cloud.JFrogUser{Name: jfrogUser, Groups: []string{"readers"}})
	e.lab.JFrog.SetReadable("readers", "docker-local")
	e.lab.JFrog.AddProvider(cloud.JFrogProvider{Name: "cluster", Issuer: issuer, Audience: platform, Mappings: []cloud.JFrogIdentityMapping{
		{Name: "team-c", Claims: map[string]string{"sub": "system:serviceaccount:" + lab.ManyNamespace + ":puller"}, Username: jfrogUser},
	}})
	host, _, _ := strings.Cut(jfrogImage, "/")
	patch, err := json.Marshal([]map[string]any{{"op": "add", "path": "/spec/registries/-", "value": v1alpha1.Registry{
		Name: "jfrog",
		Artifactory: &v1alpha1.Artifactory{
			URL: platform, Hosts: []v1alpha1.Host{v1alpha1.Host(host)}, ProviderName: "cluster", IdentityMappingName: "team-c",
		},
		Identity: &v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: "puller"}},
	}}})
	if err != nil {
		return err
	}
	credential := &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: lab.ManyNamespace, Name: lab.ManyCredential}}
	return e.lab.Client.Patch(ctx, credential, client.RawPatch("application/json-patch+json", patch))
}
