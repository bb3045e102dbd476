package main

import (
	"context"
	"fmt"
	"time"

	"github.com/regcred/regcred/test/lab"
)

const (
	hourName = "hour"
	// hourStep is by how much the controller's clock is moved at once, and hourPause how long it is given for what is due then.
	hourStep, hourPause = time.Minute, 500 * time.Millisecond
)

// hourOnly counts what the controller asks of the API server in an hour in which nothing changes. Its clock is moved.
func (b *bench) hourOnly(ctx context.Context) error {
	if err := b.prepareNamespaces(ctx); err != nil {
		return err
	}
	steered, err := b.StartSteered(ctx, &lab.Clock{}, b.log, "--allow-ambient-identity")
	if err != nil {
		return err
	}
	b.controller = steered.Controller
	secrets, err := b.watchNamed(ctx, secretsMetadata(), hourName)
	if err != nil {
		return err
	}
	defer secrets.stop()
	if _, err := b.burst(ctx, secrets, anything, func() error { return b.Client.Create(ctx, clusterCredential(hourName, "fan-out", nil)) }); err != nil {
		return err
	}
	if err := b.statusSettled(ctx, hourName); err != nil {
		return err
	}
	progress("an hour passes")
	b.AWS.ResetCalls()
	start := time.Now()
	for range time.Hour / hourStep {
		if err := steered.Advance(ctx, hourStep); err != nil {
			return err
		}
		if err := observe(ctx, hourPause); err != nil {
			return err
		}
	}
	asked, err := b.requestsBetween(start, time.Now())
	if err != nil {
		return err
	}
	s := b.report.section(fmt.Sprintf("An hour with %d fresh Secrets, by a clock that is moved", b.namespaces))
	s.add(figure{ID: "hour-requests", Name: "requests but Lease and watch", Value: float64(asked.of(isAvoidable)), Target: exactly(0)})
	s.add(figure{ID: "hour-calls", Name: "cloud calls", Value: float64(b.AWS.Calls().Of(mintAction)), Target: exactly(0)})
	s.list("requests of the controller", asked)
	return nil
}
