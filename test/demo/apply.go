package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

// apply measures from the moment at which a watch shows the credential to the moment at which one shows its Secret.
func (d *demo) apply(ctx context.Context) error {
	for _, namespace := range []string{shop, web} {
		if err := d.createNamespace(ctx, namespace); err != nil {
			return err
		}
	}
	if err := d.linkForeign(ctx); err != nil {
		return err
	}
	d.done("namespaces %s and %s have the label %s=true; ServiceAccount %s/%s links %s already", shop, web, pullLabel, shop, account, foreign)
	samples := filepath.Join(d.lab.Root, "config", "samples")
	err := d.kubectl(ctx, "apply", "-f", filepath.Join(samples, "clusterregistrycredential.yaml"), "-f", filepath.Join(samples, "registrycredential.yaml"))
	if err != nil {
		return err
	}
	applied, err := d.clusterCRs.first(ctx, "the ClusterRegistryCredential", time.Time{}, func(s sighting[*v1alpha1.ClusterRegistryCredential]) bool {
		return is(s.object, "", shared)
	})
	if err != nil {
		return err
	}
	ownApplied, err := d.ownCRs.first(ctx, "the RegistryCredential", time.Time{}, func(s sighting[*v1alpha1.RegistryCredential]) bool {
		return is(s.object, team, own)
	})
	if err != nil {
		return err
	}
	for _, secret := range []struct {
		namespace, name string
		applied         time.Time
	}{{shop, shared, applied.at}, {web, shared, applied.at}, {team, own, ownApplied.at}} {
		s, err := d.secretWith(ctx, secret.namespace, secret.name, time.Time{}, nil)
		if err != nil {
			return err
		}
		if secret.namespace == shop {
			d.firstToken = content(s.object)
		}
		d.done("Secret %s/%s appeared %s after the credential was applied", secret.namespace, secret.name, brief(s.at.Sub(secret.applied)))
	}
	return nil
}

func (d *demo) createNamespace(ctx context.Context, name string) error {
	labels := map[string]string{pullLabel: "true"}
	return d.lab.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
}

// linkForeign is somebody else's link.
func (d *demo) linkForeign(ctx context.Context) error {
	sa, err := d.accounts.first(ctx, "the default ServiceAccount", time.Time{}, func(s sighting[*corev1.ServiceAccount]) bool {
		return is(s.object, shop, account)
	})
	if err != nil {
		return err
	}
	patched := sa.object.DeepCopy()
	patched.ImagePullSecrets = []corev1.LocalObjectReference{{Name: foreign}}
	return d.lab.Client.Patch(ctx, patched, client.MergeFrom(sa.object))
}

func (d *demo) showLinks(ctx context.Context) error {
	for _, link := range []struct {
		namespace string
		names     []string
		note      string
	}{
		{shop, []string{foreign, shared}, "; the foreign link stays, and stays first"},
		{web, []string{shared}, ""},
		{team, []string{own}, ""},
	} {
		if _, err := d.linked(ctx, link.namespace, time.Time{}, link.names...); err != nil {
			return err
		}
		d.done("ServiceAccount %s/%s has imagePullSecrets: [%s]%s", link.namespace, account, strings.Join(link.names, ", "), link.note)
	}
	return nil
}

// linked waits until the namespace's default ServiceAccount links exactly these Secrets, in this order.
func (d *demo) linked(ctx context.Context, namespace string, since time.Time, names ...string) (sighting[*corev1.ServiceAccount], error) {
	what := fmt.Sprintf("ServiceAccount %s/%s with imagePullSecrets %v", namespace, account, names)
	return d.accounts.first(ctx, what, since, func(s sighting[*corev1.ServiceAccount]) bool {
		return s.event != watch.Deleted && is(s.object, namespace, account) &&
			slices.EqualFunc(s.object.ImagePullSecrets, names, func(r corev1.LocalObjectReference, name string) bool { return r.Name == name })
	})
}

func (d *demo) showStatus(ctx context.Context) error {
	if _, err := d.readyFor(ctx, time.Time{}, v1alpha1.ReasonCurrent); err != nil {
		return err
	}
	_, err := d.ownCRs.first(ctx, "Ready of the RegistryCredential", time.Time{}, func(s sighting[*v1alpha1.RegistryCredential]) bool {
		ready := meta.FindStatusCondition(s.object.Status.Conditions, v1alpha1.ConditionReady)
		return ready != nil && ready.Reason == v1alpha1.ReasonCurrent
	})
	if err != nil {
		return err
	}
	d.done("both credentials are Ready")
	return d.kubectl(ctx, "get", "regcred,cregcred", "-A")
}

// readyFor waits until the ClusterRegistryCredential is Ready for this reason, and returns the condition.
func (d *demo) readyFor(ctx context.Context, since time.Time, reason string) (*metav1.Condition, error) {
	var ready *metav1.Condition
	_, err := d.clusterCRs.first(ctx, "Ready=True of the ClusterRegistryCredential with reason "+reason, since,
		func(s sighting[*v1alpha1.ClusterRegistryCredential]) bool {
			ready = meta.FindStatusCondition(s.object.Status.Conditions, v1alpha1.ConditionReady)
			return ready != nil && ready.Status == metav1.ConditionTrue && ready.Reason == reason
		})
	return ready, err
}
