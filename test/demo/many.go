package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/lab"
)

// manyRegistries shows one Secret with three clouds and Docker Hub in it, each of its entries proved to pull before it was published.
func (d *demo) manyRegistries(ctx context.Context) error {
	user, token, err := d.lab.PrepareManyRegistries(ctx)
	if err != nil {
		return err
	}
	d.done("emulated Google Cloud, Azure and Docker Hub are up beside AWS; each trusts ServiceAccount %s/puller or knows user %s", lab.ManyNamespace, user)
	began := time.Now()
	if err := d.kubectl(ctx, "apply", "-f", filepath.Join(d.lab.Root, "config", "samples", "many-registries.yaml")); err != nil {
		return err
	}
	hub := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: lab.ManyNamespace, Name: "hub", Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}},
		StringData: map[string]string{"username": user, "password": token},
	}
	if err := d.lab.Client.Create(ctx, hub); err != nil {
		return err
	}
	var registries []v1alpha1.RegistryStatus
	ready, err := d.ownCRs.first(ctx, "four proved registries", began, func(s sighting[*v1alpha1.RegistryCredential]) bool {
		registries = s.object.Status.Registries
		return is(s.object, lab.ManyNamespace, lab.ManyCredential) && meta.IsStatusConditionTrue(s.object.Status.Conditions, v1alpha1.ConditionReady) &&
			allVerified(registries)
	})
	if err != nil {
		return err
	}
	d.done("Ready %s after it was applied: four registries in one Secret, each proved with a pull before it was published", brief(ready.at.Sub(began)))
	if err := d.kubectl(ctx, "get", "regcred", "-n", lab.ManyNamespace); err != nil {
		return err
	}
	for _, r := range registries {
		expires := "never"
		if r.ExpiresAt != nil {
			expires = r.ExpiresAt.UTC().Format(time.RFC3339)
		}
		d.say("%-7s expires %-20s  verified %-5s %s", r.Name, expires, r.Verified, strings.Join(r.Hosts, ", "))
	}
	if err := d.pullMany(ctx); err != nil {
		return err
	}
	return d.deleteMany(ctx)
}

func allVerified(registries []v1alpha1.RegistryStatus) bool {
	for _, r := range registries {
		if r.Verified != metav1.ConditionTrue {
			return false
		}
	}
	return len(registries) == len(lab.ManyImages)
}

func (d *demo) pullMany(ctx context.Context) error {
	secret, err := d.present(ctx, lab.ManyNamespace, lab.ManyCredential)
	if err != nil {
		return err
	}
	transport := d.lab.Internet.Transport()
	defer transport.CloseIdleConnections()
	for _, image := range lab.ManyImages {
		if _, err := cloud.Pull(ctx, transport, content(secret), image); err != nil {
			return fmt.Errorf("pulling %s: %w", image, err)
		}
		d.done("pulled %s", image)
	}
	return nil
}

func (d *demo) deleteMany(ctx context.Context) error {
	began := time.Now()
	if err := d.lab.Client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: lab.ManyNamespace}}); err != nil {
		return err
	}
	_, err := d.namespaces.first(ctx, "the end of namespace "+lab.ManyNamespace, began, func(s sighting[*corev1.Namespace]) bool {
		return s.event == watch.Deleted && s.object.Name == lab.ManyNamespace
	})
	if err == nil {
		d.done("namespace %s is deleted with all that was in it", lab.ManyNamespace)
	}
	return err
}
