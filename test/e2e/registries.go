package main

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/node"
)

// manyRegistries: one Secret holds the tokens of registries of several clouds, and a pod pulls from each.
func manyRegistries(ctx context.Context, e *e2e) (outcome, error) {
	const name = "several"
	var o outcome
	if err := e.createNamespace(ctx, name, false); err != nil {
		return o, err
	}
	defer e.discard(ctx, name)
	c, err := e.startClouds(ctx, name)
	defer c.Close()
	if err != nil {
		return o, err
	}
	if err := e.createSeveral(ctx, name, c); err != nil {
		return o, err
	}
	for _, r := range c.registries {
		options := podOptions{image: r.host + "/" + r.repository + ":v1", pullSecrets: []string{name}}
		if _, err := e.createAndRun(ctx, name, r.entry.Name, options); err != nil {
			return o, err
		}
		o.pods++
		o.note("a pod pulls from %s", r.host)
	}
	failures, err := e.failedPulls(ctx, name)
	if err != nil {
		return o, err
	}
	if o.failedPulls = count(failures); o.failedPulls > 0 {
		return o, fmt.Errorf("%d pulls failed%s", o.failedPulls, firstOf(failures))
	}
	return o, nil
}

// createSeveral stores an image in each registry, and returns when the one Secret has tokens for all of them.
func (e *e2e) createSeveral(ctx context.Context, namespace string, c *clouds) error {
	credential := &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: namespace}}
	for _, r := range c.registries {
		image, err := node.Image(e.pause(), r.host+"/"+r.repository)
		if err != nil {
			return err
		}
		if _, err := r.store.StoreImage(r.host, r.repository, "v1", image); err != nil {
			return err
		}
		credential.Spec.Registries = append(credential.Spec.Registries, r.entry)
	}
	err := e.createAccount(ctx, namespace, puller, map[string]string{
		"eks.amazonaws.com/role-arn":        severalRole,
		"azure.workload.identity/client-id": azureApp,
		"azure.workload.identity/tenant-id": cloud.AzureTenant,
	})
	if err != nil {
		return err
	}
	if err := e.lab.Client.Create(ctx, credential); err != nil {
		return err
	}
	_, err = await(ctx, e, "RegistryCredential", &v1alpha1.RegistryCredentialList{}, namespace, namespace, func(c *v1alpha1.RegistryCredential) bool {
		ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
		return ready != nil && ready.Reason == v1alpha1.ReasonCurrent
	})
	return err
}
