package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/node"
)

const (
	// bystanding is a namespace with a credential that can help nothing, and uncredentialed one without any.
	bystanding, uncredentialed = "cause-none-of-ours", "cause-no-credential"

	untrustedHost = "registry.untrusted.example"
	brokenImage   = "team/broken"
)

// none are failures that no credential could have prevented.
var none = []struct{ cause, image string }{
	{v1alpha1.CauseImageNotFound, registry + "/" + repository + ":never-pushed"},
	{v1alpha1.CauseUnreachable, "registry.nowhere" + node.NoHosts + "/" + repository + ":v1"},
	{v1alpha1.CauseUntrusted, untrustedHost + "/" + repository + ":v1"},
	{v1alpha1.CauseRegistryFailing, jfrogImage},
	{v1alpha1.CauseOther, registry + "/" + brokenImage + ":v1"},
}

// untold has pods fail for reasons that are none of ours, and makes sure that nothing is told.
func (e *e2e) untold(ctx context.Context) error {
	if err := errors.Join(e.createNamespace(ctx, bystanding, false), e.createNamespace(ctx, uncredentialed, false)); err != nil {
		return err
	}
	role := "arn:aws:iam::" + cloud.DefaultAccount + ":role/" + bystanding
	if _, err := e.serve(ctx, bystanding, role, mayPull, cloud.DefaultAccount+"/"+brokenImage); err != nil {
		return err
	}
	restore, err := e.breakRegistries()
	if err != nil {
		return err
	}
	defer restore()
	before, err := e.pullFailures(ctx)
	if err != nil {
		return err
	}
	if err := e.createPod(ctx, uncredentialed, doomed, podOptions{}); err != nil {
		return err
	}
	for _, n := range none {
		if err := e.createPod(ctx, bystanding, strings.ToLower(n.cause), podOptions{account: own, image: n.image}); err != nil {
			return err
		}
	}
	for _, n := range none {
		if err := e.countedOnly(ctx, n.cause, before); err != nil {
			return err
		}
		e.say("  %s is counted, and not told", n.cause)
	}
	if err := e.explainedOfPod(ctx, "NoCredential", uncredentialed, doomed); err != nil {
		return err
	}
	return errors.Join(e.nothingTold(ctx, bystanding), e.nothingTold(ctx, uncredentialed))
}

// breakRegistries makes the registries of other clouds fail as the causes want, and returns what heals them.
func (e *e2e) breakRegistries() (restore func(), err error) {
	image, err := mutate.AppendLayers(empty.Image, static.NewLayer([]byte(strings.Repeat("no tar", 1024)), types.DockerUncompressedLayer))
	if err != nil {
		return nil, err
	}
	if _, err := e.lab.AWS.StoreImage(registry, brokenImage, "v1", image); err != nil {
		return nil, err
	}
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0) // that its certificate is refused is the point
	untrusted.StartTLS()
	e.lab.Internet.Route(func(host string) (string, bool) { return untrusted.Listener.Addr().String(), host == untrustedHost })
	e.lab.JFrog.Registry.Set(cloud.Fault{Outage: cloud.OutageServerError})
	return func() {
		e.lab.JFrog.Registry.Reset()
		untrusted.Close()
	}, nil
}

// countedOnly waits until the failure of a pod has been counted, and removes the pod.
func (e *e2e) countedOnly(ctx context.Context, cause string, before map[string]int) error {
	pod := strings.ToLower(cause)
	words, err := e.refused(ctx, bystanding, pod)
	if err != nil {
		return fmt.Errorf("%s: %w", cause, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		now, err := e.pullFailures(ctx)
		if err != nil {
			return fmt.Errorf("%s is not counted, although the kubelet says: %s: %w", cause, words, err)
		}
		if now[cause] > before[cause] {
			tick.Stop()
			if err := e.explainedOfPod(ctx, cause, bystanding, pod); err != nil {
				return err
			}
			return e.lab.Client.Delete(ctx, newPod(bystanding, pod, podOptions{}), client.GracePeriodSeconds(0))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s is not counted, although the kubelet says: %s: %w", cause, words, ctx.Err())
		}
	}
}

// loginMissing is what the kubelet says where it asked without a login: it may be a moment late to be allowed the Secret of a new pod.
var loginMissing = regexp.MustCompile(`(?i)401|unauthorized|no basic auth`)

// nothingTold fails if the controller has made an event on a pod of a namespace, or one of a failed pull on its credential. That a pull which the
// kubelet tried without the login is allowed may be told.
func (e *e2e) nothingTold(ctx context.Context, namespace string) error {
	events := &corev1.EventList{}
	if err := e.lab.Client.List(ctx, events, client.InNamespace(namespace)); err != nil {
		return err
	}
	tooEarly := map[string]bool{}
	for i := range events.Items {
		if event := &events.Items[i]; isFailedPull(event) && loginMissing.MatchString(event.Message) {
			tooEarly[event.InvolvedObject.Name] = true
		}
	}
	for i := range events.Items {
		event := &events.Items[i]
		if event.Reason == v1alpha1.CausePullAllowed && tooEarly[event.InvolvedObject.Name] {
			continue
		}
		if isOurs(event) && (event.InvolvedObject.Kind == "Pod" || event.Type == corev1.EventTypeWarning) {
			return fmt.Errorf("the controller tells of %s %s/%s: %s: %s",
				event.InvolvedObject.Kind, namespace, event.InvolvedObject.Name, event.Reason, event.Message)
		}
	}
	return nil
}

var pullFailure = regexp.MustCompile(`(?m)^regcred_pull_failures_total\{.*cause="(\w+)".*\} (\d+)$`)

// pullFailures reads the metric, by cause.
func (e *e2e) pullFailures(ctx context.Context) (map[string]int, error) {
	text, err := e.controller.ReadMetrics(ctx)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, match := range pullFailure.FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(match[2])
		if err != nil {
			return nil, err
		}
		counts[match[1]] += n // of every credential
	}
	return counts, nil
}

// compareFailures fails if the metric has not grown as wanted, and nowhere else.
func compareFailures(before, after, want map[string]int) error {
	grown := map[string]int{}
	for cause, n := range after {
		if n != before[cause] {
			grown[cause] = n - before[cause]
		}
	}
	if !maps.Equal(grown, want) {
		return fmt.Errorf("regcred_pull_failures_total has grown by %v, want %v", grown, want)
	}
	return nil
}
