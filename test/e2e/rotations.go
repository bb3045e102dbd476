package main

import (
	"context"
	"fmt"

	"github.com/regcred/regcred/test/cloud"
)

// manyRotations is what pods are created through.
const manyRotations = 10

// denied is the code of the distribution specification with which the emulated ECR refuses a token that has expired, or may not.
const denied = "DENIED"

// rotations: pods are created all the time, and none of their pulls fails, though no token lives longer than two or three rotations.
func rotations(ctx context.Context, e *e2e) (outcome, error) {
	const namespace = "rotations"
	var o outcome
	defer e.discard(ctx, namespace)
	if err := e.createNamespace(ctx, namespace, true); err != nil {
		return o, err
	}
	secret, err := e.secret(ctx, namespace, shared)
	if err != nil {
		return o, err
	}
	expired := e.expiredTokens()
	running, err := e.bystander(ctx, namespace)
	if err != nil {
		return o, err
	}
	pods, err := e.startStream(ctx, namespace)
	if err != nil {
		return o, err
	}
	for i := range manyRotations {
		if secret, err = e.secretChanged(ctx, secret); err != nil {
			return o, err
		}
		e.say("  rotation %d of %d", i+1, manyRotations)
	}
	through, err := pods.finish(ctx)
	if err != nil {
		return o, err
	}
	o.pods, o.failedPulls = through.pods, count(through.failures)
	o.note("%d rotations, in place; %.1f pods a second, the slowest ran after %.1f s", manyRotations, through.perSec, through.slowest.Seconds())
	if err := through.failed(); err != nil {
		return o, err
	}
	if more := e.expiredTokens() - expired; more > through.overtaken {
		return o, fmt.Errorf("the registry has refused %d requests with a token that was not good any more", more)
	}
	return o, e.stillRuns(ctx, running)
}

// expiredTokens counts the requests that the registry has refused with a token in hand: a request without one is a challenge, with
// which every pull of containerd begins.
func (e *e2e) expiredTokens() int {
	calls := e.lab.AWS.Calls()
	n := 0
	for _, action := range []string{cloud.ActionHeadManifest, cloud.ActionGetManifest, cloud.ActionGetBlob} {
		n += calls.WithCode(action, denied)
	}
	return n
}
