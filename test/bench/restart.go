package main

import (
	"context"
	"fmt"
	"time"

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
	if err := b.statusSettled(ctx, last.credential); err != nil {
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
	r.add(figure{ID: "restart-cpu", Name: "CPU in all", Value: used.CPU.Seconds(), Unit: " s", Digits: 2})
	r.add(figure{ID: "restart-rss-anon", Name: "RSS without the executable's pages", Value: mebibytes(used.RSS - used.FileRSS), Unit: " MiB", Digits: 1})
	r.add(figure{ID: "restart-rss-peak", Name: "RSS at its peak", Value: mebibytes(used.PeakRSS), Unit: " MiB", Digits: 1})
	r.list("requests of the controller", started)
	q := b.report.section(fmt.Sprintf("Steady state, %s", steady))
	q.add(figure{ID: "steady-requests", Name: "requests but Lease and watch", Value: float64(quiet.of(isAvoidable)), Target: exactly(0)})
	q.list("requests of the controller", quiet)
	return nil
}

// settled is how long a status must stand still to be up to date: times alone are written once a minute, and only if they have changed.
const settled = 5 * time.Second

// statusSettled waits for the status to say what the Secrets say: that a process writes what its predecessor still owed is not what a
// restart is charged with.
func (b *bench) statusSettled(ctx context.Context, name string) error {
	for version, since := "", time.Now(); time.Since(since) < settled; {
		c := &v1alpha1.ClusterRegistryCredential{}
		if err := b.Client.Get(ctx, client.ObjectKey{Name: name}, c); err != nil {
			return fmt.Errorf("waiting for the status: %w", err)
		}
		if n := c.Status.Namespaces; c.ResourceVersion != version || n == nil || int(n.Current) != b.namespaces {
			version, since = c.ResourceVersion, time.Now()
		}
		if err := observe(ctx, settled/10); err != nil {
			return err
		}
	}
	return nil
}
