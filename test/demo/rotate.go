package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// rotate waits for the second token. A mass rotation of many namespaces must cost one call: each gets the same token, in its own time.
func (d *demo) rotate(ctx context.Context) error {
	before, err := d.present(ctx, shop, shared)
	if err != nil {
		return err
	}
	issued := d.ambientTokens()[0].IssuedAt
	d.waiting("the token is %s old; it is renewed before it is %s old", seconds(time.Since(issued)), seconds(tokenLife/2))
	var second []byte
	for _, namespace := range served {
		renewed, err := d.secretWith(ctx, namespace, shared, time.Time{}, func(s *corev1.Secret) bool {
			return !bytes.Equal(content(s), d.firstToken)
		})
		if err != nil {
			return err
		}
		if namespace == shop {
			second = content(renewed.object)
			if renewed.object.UID != before.UID {
				return errors.New("the Secret was replaced instead of written in place")
			}
		}
		if !bytes.Equal(content(renewed.object), second) {
			return fmt.Errorf("namespace %s got a token of its own", namespace)
		}
		d.done("Secret %s/%s got its second token %s after the first was issued", namespace, shared, seconds(renewed.at.Sub(issued)))
	}
	if n := len(d.ambientTokens()); n != 2 {
		return fmt.Errorf("the cloud has issued %d tokens for it instead of 2", n)
	}
	d.done("all in place, with the UID unchanged: one cloud call for %d namespaces", len(served))
	return d.pullWith(ctx, shop, shared)
}

// outliveFirstToken waits in real time, since that is what a token dies of.
func (d *demo) outliveFirstToken(ctx context.Context) error {
	first := d.ambientTokens()[0]
	if left := time.Until(first.ExpiresAt); left > 0 {
		d.waiting("the first token dies in %s", seconds(left))
		select {
		case <-time.After(left + time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	refusal, err := d.refused(ctx, d.firstToken, http.StatusForbidden)
	if err != nil {
		return err
	}
	d.done("with the first token, the registry answers %s", refusal)
	for _, secret := range []struct{ namespace, name string }{{shop, shared}, {team, own}} {
		if err := d.pullWith(ctx, secret.namespace, secret.name); err != nil {
			return err
		}
	}
	return nil
}
