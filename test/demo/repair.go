package main

import (
	"bytes"
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
)

func (d *demo) repairDeleted(ctx context.Context) error {
	return d.withoutCloudCall(func() error {
		before, err := d.present(ctx, shop, shared)
		if err != nil {
			return err
		}
		began := time.Now()
		if err := d.kubectl(ctx, "delete", "secret", shared, "-n", shop); err != nil {
			return err
		}
		gone, err := d.secrets.first(ctx, "the deletion", began, func(s sighting[*corev1.Secret]) bool {
			return s.event == watch.Deleted && s.object.UID == before.UID
		})
		if err != nil {
			return err
		}
		restored, err := d.secretWith(ctx, shop, shared, gone.at, func(s *corev1.Secret) bool { return s.UID != before.UID })
		if err != nil {
			return err
		}
		d.done("the Secret is back after %s, with the token from memory: no cloud call", brief(restored.at.Sub(gone.at)))
		return d.pullWith(ctx, shop, shared)
	})
}

func (d *demo) repairEdited(ctx context.Context) error {
	return d.withoutCloudCall(func() error {
		const noAuths = `{"data":{".dockerconfigjson":"eyJhdXRocyI6e319"}}`
		before, err := d.present(ctx, shop, shared)
		if err != nil {
			return err
		}
		began := time.Now()
		if err := d.kubectl(ctx, "patch", "secret", shared, "-n", shop, "-p", noAuths); err != nil {
			return err
		}
		edited, err := d.secrets.first(ctx, "the edit", began, func(s sighting[*corev1.Secret]) bool {
			return s.object.UID == before.UID && !holdsToken(s.object)
		})
		if err != nil {
			return err
		}
		repaired, err := d.secretWith(ctx, shop, shared, edited.at, nil)
		if err != nil {
			return err
		}
		switch {
		case repaired.object.UID != before.UID:
			return errors.New("the Secret was replaced instead of repaired in place")
		case !bytes.Equal(content(repaired.object), content(before)):
			return errors.New("the Secret holds another token than before")
		}
		d.done("the Secret is repaired in place after %s: no cloud call", brief(repaired.at.Sub(edited.at)))
		return nil
	})
}

// serveNamespace measures from the moment at which a watch shows the namespace.
func (d *demo) serveNamespace(ctx context.Context) error {
	before, began := d.cloudCalls(), time.Now()
	if err := d.createNamespace(ctx, newcomer); err != nil {
		return err
	}
	created, err := d.namespaces.first(ctx, "the namespace", began, func(s sighting[*corev1.Namespace]) bool { return is(s.object, "", newcomer) })
	if err != nil {
		return err
	}
	secret, err := d.secretWith(ctx, newcomer, shared, began, nil)
	if err != nil {
		return err
	}
	link, err := d.linked(ctx, newcomer, began, shared)
	if err != nil {
		return err
	}
	calls := d.cloudCalls() - before
	d.done("namespace %s got the Secret after %s and the link after %s: %s", newcomer,
		brief(secret.at.Sub(created.at)), brief(link.at.Sub(created.at)), counted(calls, "cloud call"))
	return d.pullWith(ctx, newcomer, shared)
}
