package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

const (
	// afterRestart is how long a new process is watched for what it should not do.
	afterRestart = 15 * time.Second
	// steady is how long one with nothing to do is.
	steady = 30 * time.Second
)

// restart replaces the controller while all Secrets are fresh, and counts what the new process asks of the cloud and the API server.
func (b *bench) restart(ctx context.Context, last round) error {
	progress("waiting until the status is up to date")
	if err := b.statusSettled(ctx, last); err != nil {
		return err
	}
	progress("restart, watched for %s, and %s of steady state", afterRestart, steady)
	if err := b.controller.Stop(); err != nil {
		return err
	}
	b.AWS.ResetCalls()
	start := time.Now()
	ready, err := b.startController(ctx)
	if err != nil {
		return err
	}
	if err := observe(ctx, afterRestart); err != nil {
		return err
	}
	still := time.Now()
	started, err := b.requestsBetween(start, still)
	if err != nil {
		return err
	}
	if err := observe(ctx, steady); err != nil {
		return err
	}
	quiet, err := b.requestsBetween(still, time.Now())
	if err != nil {
		return err
	}
	used, err := b.controller.Usage()
	if err != nil {
		return err
	}
	r := b.report.section(fmt.Sprintf("Restart with %d fresh Secrets", b.namespaces))
	r.add(figure{ID: "restart-ready", Name: "ready after", Value: float64(ready.Milliseconds()), Unit: " ms"})
	r.add(figure{ID: "restart-calls", Name: "cloud calls", Value: float64(b.AWS.Calls().Of(mintAction)), Target: exactly(0)})
	r.add(figure{ID: "restart-writes", Name: "writes but the Lease", Value: float64(started.of(isWrite)), Target: exactly(0)})
	r.add(figure{ID: "restart-rss", Name: "RSS", Value: mebibytes(used.RSS), Unit: " MiB", Digits: 1, Target: atMost(80)})
	r.add(figure{ID: "restart-rss-peak", Name: "RSS at its peak", Value: mebibytes(used.PeakRSS), Unit: " MiB", Digits: 1})
	r.list("requests of the controller", started)
	q := b.report.section(fmt.Sprintf("Steady state, %s", steady))
	q.add(figure{ID: "steady-requests", Name: "requests but Lease and watch", Value: float64(quiet.of(isAvoidable)), Target: exactly(0)})
	q.list("requests of the controller", quiet)
	return nil
}

// statusSettled waits for the status to say what the Secrets say: times alone are written once a minute, and that a process writes what its
// predecessor still owed is not what a restart is charged with.
func (b *bench) statusSettled(ctx context.Context, last round) error {
	due, err := b.earliestRefresh(ctx, last)
	if err != nil {
		return err
	}
	watch, err := b.watchNamed(ctx, &v1alpha1.ClusterRegistryCredentialList{}, last.credential)
	if err != nil {
		return err
	}
	defer watch.stop()
	written := watch.expect(ctx, 1, func(o client.Object) bool {
		c, ok := o.(*v1alpha1.ClusterRegistryCredential)
		return ok && c.Status.Namespaces != nil && int(c.Status.Namespaces.Current) == b.namespaces &&
			c.Status.RefreshAt != nil && c.Status.RefreshAt.Equal(due)
	})
	if _, err := written(); err != nil {
		return fmt.Errorf("waiting for the status: %w", err)
	}
	return nil
}

// earliestRefresh is when the first of the Secrets is due, by what they say themselves.
func (b *bench) earliestRefresh(ctx context.Context, last round) (*metav1.Time, error) {
	secrets := secretsMetadata()
	if err := b.Client.List(ctx, secrets, client.MatchingFields{metav1.ObjectNameField: last.credential}); err != nil {
		return nil, err
	}
	var first *metav1.Time
	for i := range secrets.Items {
		var records []struct {
			RefreshAt metav1.Time `json:"refreshAt"`
		}
		annotation := secrets.Items[i].Annotations[registriesAnnotation]
		if err := json.Unmarshal([]byte(annotation), &records); err != nil || !strings.Contains(annotation, last.requested) {
			return nil, fmt.Errorf("no refresh on record in Secret %s/%s: %q", secrets.Items[i].Namespace, secrets.Items[i].Name, annotation)
		}
		if at := records[0].RefreshAt; first == nil || at.Before(first) {
			first = &at
		}
	}
	return first, nil
}
