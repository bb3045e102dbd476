package main

import (
	"bytes"
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

// surviveOutage asks for a refresh while the cloud is down, rather than wait for the next one.
func (d *demo) surviveOutage(ctx context.Context) error {
	before, err := d.present(ctx, shop, shared)
	if err != nil {
		return err
	}
	d.lab.AWS.ECR.Set(cloud.Fault{Outage: cloud.OutageServerError})
	d.done("ECR answers every call with status 500 from now on; a refresh is asked for")
	began := time.Now()
	request := v1alpha1.AnnotationRefreshRequestedAt + "=" + began.UTC().Format(time.RFC3339)
	if err := d.kubectl(ctx, "annotate", "cregcred", shared, request); err != nil {
		return err
	}
	ready, err := d.readyFor(ctx, began, v1alpha1.ReasonRefreshFailing)
	if err != nil {
		return err
	}
	d.done("Ready stays %s, with reason %s:", ready.Status, ready.Reason)
	d.quote(ready.Message)
	event, err := d.events.first(ctx, "a warning", began, func(s sighting[*eventsv1.Event]) bool {
		return s.object.Type == corev1.EventTypeWarning && s.object.Regarding.Kind == v1alpha1.KindClusterRegistryCredential
	})
	if err != nil {
		return err
	}
	d.done("event %s %s:", event.object.Type, event.object.Reason)
	d.quote(event.object.Note)
	during, err := d.present(ctx, shop, shared)
	if err != nil {
		return err
	}
	if !bytes.Equal(content(during), content(before)) {
		return errors.New("the Secret has changed during the outage")
	}
	d.done("the Secret keeps its last good token")
	if err := d.pullWith(ctx, shop, shared); err != nil {
		return err
	}
	return d.endOutage(ctx, before)
}

func (d *demo) endOutage(ctx context.Context, before *corev1.Secret) error {
	refusals := d.lab.AWS.Calls().Failed(cloud.ActionGetAuthorizationToken)
	ended := time.Now()
	d.lab.AWS.ECR.Reset()
	d.done("the outage ends, %s later", counted(refusals, "failed call"))
	fresh, err := d.secretWith(ctx, shop, shared, ended, func(s *corev1.Secret) bool { return !bytes.Equal(content(s), content(before)) })
	if err != nil {
		return err
	}
	ready, err := d.readyFor(ctx, ended, v1alpha1.ReasonCurrent)
	if err != nil {
		return err
	}
	d.done("the token is fresh again %s after the end, and Ready has reason %s", seconds(fresh.at.Sub(ended)), ready.Reason)
	return nil
}
