package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

// own is the credential of a namespace of this scenario, its Secret, and the ServiceAccount that it links and whose role asks for tokens.
const own = "own"

// doomed is the name of the pod whose pull fails.
const doomed = "app"

// doom is a cause of a failed pull that a credential could have prevented.
type doom struct {
	cause string
	// variant tells dooms of one cause apart.
	variant string
	// prepare sets up a namespace and returns the pod that will fail in it.
	prepare func(ctx context.Context, e *e2e, namespace, role string) (podOptions, error)
	// cure is what the events advise or say is done.
	cure string
	// heals is whether the pod runs after that without anybody's help; only what needs help is told of the credential, or what it did.
	heals, good bool
	// probe is whether only the registry's own answer tells the cause.
	probe bool
}

var dooms = []doom{
	{cause: v1alpha1.CauseNotCovered, prepare: uncoveredRegistry, cure: "add it to the registries of "},
	{cause: v1alpha1.CauseNotCovered, variant: "limited", prepare: limitedRegistry, cure: "add it to the registries of "},
	{cause: v1alpha1.CauseTokenMissing, prepare: noToken, cure: "ecr:GetAuthorizationToken"},
	{cause: v1alpha1.CauseTokenExpired, prepare: expiredToken, cure: "ecr:GetAuthorizationToken"},
	{cause: v1alpha1.CauseTokenRefused, prepare: revokedToken, cure: "it is replaced", heals: true},
	{cause: v1alpha1.CausePullDenied, prepare: deniedRepository, cure: "ecr:BatchGetImage", probe: true},
	{cause: v1alpha1.CausePodNamesOwnSecrets, prepare: otherSecrets, cure: "remove the list"},
	{cause: v1alpha1.CausePodBeforeLink, prepare: beforeLink, cure: "recreate it"},
	{cause: v1alpha1.CauseNotLinked, prepare: unlinkedAccount, cure: "add one or the other"},
	{cause: v1alpha1.CauseUndecided, prepare: goneIdentity, cure: "could not be found out"},
}

// late is alone at the beginning, because it slows the cloud down.
var late = doom{cause: v1alpha1.CausePullAllowed, prepare: lateToken, cure: "tries again by itself", heals: true, good: true}

// causes: pods fail to pull for every cause there is, each in a namespace of its own. What a credential could have prevented is told of the
// pod and of the credential, with the cure; of what none could have, nothing is told. The plugin of kubectl says why, of all of them.
func causes(ctx context.Context, e *e2e) (outcome, error) {
	var o outcome
	var namespaces []string
	for _, d := range append(dooms, late) {
		namespaces = append(namespaces, d.namespace())
	}
	defer e.lab.DockerHub.Registry.Reset()
	defer e.discard(ctx, append(namespaces, bystanding, uncredentialed)...)
	if err := late.meet(ctx, e); err != nil {
		return o, err
	}
	// By now, whatever failed in another scenario has been counted.
	before, err := e.pullFailures(ctx)
	if err != nil {
		return o, err
	}
	if before[late.cause] != 1 {
		return o, fmt.Errorf("%s is counted %d times, want once", late.cause, before[late.cause])
	}
	errs := make([]error, len(dooms)+1)
	var running sync.WaitGroup
	for i, d := range dooms {
		running.Go(func() { errs[i] = d.meet(ctx, e) })
	}
	running.Go(func() { errs[len(dooms)] = e.untold(ctx) })
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		return o, err
	}
	after, err := e.pullFailures(ctx)
	if err != nil {
		return o, err
	}
	want := map[string]int{}
	for _, d := range dooms {
		want[d.cause]++
	}
	for _, d := range append(dooms, late) {
		o.note("%s: told of the pod%s, counted once%s", d.cause, d.whom(), d.ending())
	}
	for _, n := range none {
		want[n.cause]++
		o.note("%s: counted once, and not told", n.cause)
	}
	o.note("in a namespace without a credential: neither counted nor told")
	for _, namespace := range append(namespaces, bystanding, uncredentialed) {
		failures, err := e.failedPulls(ctx, namespace)
		if err != nil {
			return o, err
		}
		o.failedPulls += count(failures)
	}
	o.pods = len(dooms) + 1 + len(none) + 1
	return o, compareFailures(before, after, want)
}

func (d doom) namespace() string { return "cause-" + strings.ToLower(d.cause) + d.variant }

// file is where the sentence of why is.
func (d doom) file() string { return d.cause + d.variant }

func (d doom) whom() string {
	if d.good {
		return ""
	}
	return " and of the credential"
}

func (d doom) ending() string {
	if d.heals {
		return ", and the pod runs without help"
	}
	return ""
}

// meet has a pod fail, and returns when that has been told as it should be. A pod that does not heal is gone then, so that it fails and
// counts no second time.
func (d doom) meet(ctx context.Context, e *e2e) error {
	err := d.tell(ctx, e)
	if err != nil {
		return fmt.Errorf("%s: %w", d.cause, err)
	}
	e.say("  %s is told", d.cause)
	return nil
}

func (d doom) tell(ctx context.Context, e *e2e) error {
	namespace := d.namespace()
	if err := e.createNamespace(ctx, namespace, false); err != nil {
		return err
	}
	role := "arn:aws:iam::" + cloud.DefaultAccount + ":role/" + namespace
	options, err := d.prepare(ctx, e, namespace, role)
	if err != nil {
		return err
	}
	if d.heals && !d.good {
		if err := e.probed(ctx, d.file(), namespace); err != nil {
			return err
		}
	}
	if !options.gated {
		if err := e.createPod(ctx, namespace, doomed, options); err != nil {
			return err
		}
	}
	if _, err := e.refused(ctx, namespace, doomed); err != nil {
		return err
	}
	if err := e.told(ctx, namespace, "Pod", doomed, d.cause, d.cure); err != nil {
		return err
	}
	if !d.good {
		if err := e.told(ctx, namespace, "RegistryCredential", own, d.cause, "pod "+doomed+": "); err != nil {
			return err
		}
		if err := e.told(ctx, namespace, "RegistryCredential", own, d.cause, d.cure); err != nil {
			return err
		}
	}
	return d.end(ctx, e, options)
}

// end waits for a pod that heals, and removes one that does not when the administrator has been told why.
func (d doom) end(ctx context.Context, e *e2e, options podOptions) error {
	namespace := d.namespace()
	if d.heals {
		if _, err := e.runs(ctx, namespace, doomed); err != nil || !d.good {
			return err
		}
		return e.probed(ctx, d.file(), namespace)
	}
	var more []string
	if d.probe {
		more = probing
	}
	if err := e.explainedOfPod(ctx, d.file(), namespace, doomed, more...); err != nil {
		return err
	}
	return e.lab.Client.Delete(ctx, newPod(namespace, doomed, options), client.GracePeriodSeconds(0))
}

// told waits for the event of a cause on an object, and fails if it does not say what is wanted.
func (e *e2e) told(ctx context.Context, namespace, kind, name, cause, words string) error {
	event, err := await(ctx, e, "Event "+cause+" of "+kind, &corev1.EventList{}, namespace, "", func(event *corev1.Event) bool {
		return isOurs(event) && event.InvolvedObject.Kind == kind && event.InvolvedObject.Name == name && event.Reason == cause
	})
	if err != nil {
		return err
	}
	if !strings.Contains(event.Message, words) {
		return fmt.Errorf("the event on %s %s does not say %q: %s", kind, name, words, event.Message)
	}
	return nil
}

// isOurs is of an event that the controller has made.
func isOurs(event *corev1.Event) bool { return event.ReportingController == "regcred" }
