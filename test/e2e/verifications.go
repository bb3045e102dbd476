package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/node"
)

// policies are those of the kubelet, with whether a Secret that was deleted and created anew makes it pull what it has.
var policies = []struct {
	policy  node.Verification
	rePulls bool
}{
	{node.NeverVerify, false},
	{node.NeverVerifyPreloadedImages, true},
	{node.NeverVerifyAllowlistedImages, true},
	{node.AlwaysVerify, true},
}

// verifications: a pod that pulls only what is not on the node must prove that it could, with its Secret. The kubelet knows a Secret by its
// UID and content: one that was rotated in place is still the one that has pulled, one that was replaced proves nothing.
func verifications(ctx context.Context, e *e2e) (outcome, error) {
	const inPlace, replaced = "verify", "verify-replaced"
	var o outcome
	defer e.discard(ctx, inPlace, replaced)
	if err := errors.Join(e.createNamespace(ctx, inPlace, true), e.createNamespace(ctx, replaced, false)); err != nil {
		return o, err
	}
	for _, p := range policies {
		if err := e.node.StartKubelet(ctx, p.policy); err != nil {
			return o, err
		}
		e.say("  the kubelet's policy is %s", p.policy)
		if err := e.verifyInPlace(ctx, inPlace, p.policy); err != nil {
			return o, fmt.Errorf("%s, rotated in place: %w", p.policy, err)
		}
		pulled, err := e.verifyReplaced(ctx, replaced, p.policy)
		if err != nil {
			return o, fmt.Errorf("%s, deleted and created anew: %w", p.policy, err)
		}
		if pulled != p.rePulls {
			return o, fmt.Errorf("%s: after deleting and creating the Secret, a pull of an image that is there: got %t, want %t", p.policy, pulled, p.rePulls)
		}
		word := "pulls again"
		if !pulled {
			word = "does not pull again"
		}
		o.pods += 4
		o.note("%s: rotated in place, the image is not pulled again; after delete and create, the kubelet %s", p.policy, word)
	}
	return o, e.node.StartKubelet(ctx, node.NeverVerifyPreloadedImages)
}

// verifyInPlace rotates Regcred's Secret between two pods of one image, and takes the registry away before the second: only a pod that
// need not pull can start.
func (e *e2e) verifyInPlace(ctx context.Context, namespace string, policy node.Verification) error {
	options, err := e.verifiedImage("in-place", policy)
	if err != nil {
		return err
	}
	prefix := strings.ToLower(string(policy))
	if _, err := e.createAndRun(ctx, namespace, prefix+"-1", options); err != nil {
		return err
	}
	before, err := e.secret(ctx, namespace, shared)
	if err != nil {
		return err
	}
	if err := e.refreshNow(ctx); err != nil {
		return err
	}
	if _, err := e.secretChanged(ctx, before); err != nil {
		return err
	}
	e.lab.AWS.Registry.Set(cloud.Fault{Outage: cloud.OutageServerError})
	defer e.lab.AWS.Registry.Reset()
	_, err = e.createAndRun(ctx, namespace, prefix+"-2", options)
	return err
}

// verifyReplaced does as the scripts do that delete a Secret and create it with the new token, and tells whether that caused a pull.
func (e *e2e) verifyReplaced(ctx context.Context, namespace string, policy node.Verification) (bool, error) {
	options, err := e.verifiedImage("replaced", policy)
	if err != nil {
		return false, err
	}
	options.pullSecrets = []string{naiveSecret}
	prefix := strings.ToLower(string(policy))
	if err := e.replaceSecret(ctx, namespace); err != nil {
		return false, err
	}
	if _, err := e.createAndRun(ctx, namespace, prefix+"-1", options); err != nil {
		return false, err
	}
	if err := e.replaceSecret(ctx, namespace); err != nil {
		return false, err
	}
	before := e.lab.AWS.Calls()
	if _, err := e.createAndRun(ctx, namespace, prefix+"-2", options); err != nil {
		return false, err
	}
	after := e.lab.AWS.Calls()
	manifests := func(c cloud.Calls) int { return c.Of(cloud.ActionHeadManifest) + c.Of(cloud.ActionGetManifest) }
	return manifests(after) > manifests(before), nil
}

// verifiedImage stores an image for one policy, and returns the options of pods that pull it only if it is not there.
func (e *e2e) verifiedImage(way string, policy node.Verification) (podOptions, error) {
	repository := "verify/" + way + "-" + strings.ToLower(string(policy))
	return podOptions{image: registry + "/" + repository + ":v1", pullPolicy: corev1.PullIfNotPresent}, e.seed(registry, repository)
}

// refreshNow asks the controller for a new token.
func (e *e2e) refreshNow(ctx context.Context) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{
		v1alpha1.AnnotationRefreshRequestedAt: time.Now().UTC().Format(time.RFC3339Nano),
	}}})
	if err != nil {
		return err
	}
	return e.lab.Client.Patch(ctx, sharedCredential(), client.RawPatch("application/merge-patch+json", patch))
}

func (e *e2e) replaceSecret(ctx context.Context, namespace string) error {
	password, err := e.login(ctx, region)
	if err != nil {
		return err
	}
	secret, err := loginSecret(namespace, registry, password)
	if err != nil {
		return err
	}
	if err := client.IgnoreNotFound(e.lab.Client.Delete(ctx, secret)); err != nil {
		return err
	}
	return e.lab.Client.Create(ctx, secret)
}

// loginSecret is a pull Secret that nobody keeps.
func loginSecret(namespace, host, password string) (*corev1.Secret, error) {
	content, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"username": "AWS", "password": password}}})
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: naiveSecret},
		Type:       corev1.SecretTypeDockerConfigJson,
		Data:       map[string][]byte{corev1.DockerConfigJsonKey: content},
	}, err
}
