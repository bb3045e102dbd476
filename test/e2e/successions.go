package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"

	"github.com/regcred/regcred/test/lab"
)

// successionLife is that of the tokens here: the Lease of a controller that was killed lasts up to 17 s, which must be as little beside
// half of it as it is beside the half of 12 h.
const successionLife = 2 * tokenLife

// successions: another controller takes over in each of the ways in which that happens, and pods go on.
func successions(ctx context.Context, e *e2e) (outcome, error) {
	const namespace = "successions"
	var o outcome
	defer e.discard(ctx, namespace)
	e.lab.AWS.SetTokenLife(successionLife)
	defer e.lab.AWS.SetTokenLife(tokenLife)
	if err := e.createNamespace(ctx, namespace, true); err != nil {
		return o, err
	}
	secret, err := e.secret(ctx, namespace, shared)
	if err != nil {
		return o, err
	}
	// Two tokens later, the one that is in use has the longer life.
	for range 2 {
		if secret, err = e.secretChanged(ctx, secret); err != nil {
			return o, err
		}
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
	for _, succeed := range []func(context.Context, *outcome) error{e.restart, e.takeOver, e.upgrade} {
		if err := succeed(ctx, &o); err != nil {
			return o, err
		}
		// The successor is one only when it keeps the Secret fresh.
		if secret, err = e.secretChanged(ctx, secret); err != nil {
			return o, err
		}
	}
	through, err := pods.finish(ctx)
	if err != nil {
		return o, err
	}
	o.pods, o.failedPulls = through.pods, count(through.failures)
	if err := through.failed(); err != nil {
		return o, err
	}
	if more := e.expiredTokens() - expired; more > through.overtaken {
		return o, fmt.Errorf("the registry has refused %d requests with a token that was not good any more", more)
	}
	return o, e.stillRuns(ctx, running)
}

// restart kills the controller, as running out of memory does, and starts it anew.
func (e *e2e) restart(ctx context.Context, o *outcome) error {
	return e.succeed(ctx, o, "killed and restarted", func(before *lab.Controller) error {
		if err := before.Kill(); err != nil {
			return err
		}
		return e.startController(ctx)
	})
}

// takeOver kills the controller while a second replica waits for the Lease.
func (e *e2e) takeOver(ctx context.Context, o *outcome) error {
	return e.succeed(ctx, o, "killed beside a standby", func(before *lab.Controller) error {
		if err := e.startController(ctx); err != nil {
			return err
		}
		return before.Kill()
	})
}

// upgrade starts the next version and stops this one, as a Deployment rolls.
func (e *e2e) upgrade(ctx context.Context, o *outcome) error {
	return e.succeed(ctx, o, "upgraded", func(before *lab.Controller) error {
		e.lab.Binary = filepath.Join(e.lab.Root, "bin", "regcred-next")
		if err := e.startController(ctx); err != nil {
			return err
		}
		return before.Stop()
	})
}

// succeed has another controller take over, and waits until it holds the Lease.
func (e *e2e) succeed(ctx context.Context, o *outcome, how string, change func(before *lab.Controller) error) error {
	held, err := e.lease(ctx, "")
	if err != nil {
		return err
	}
	began := time.Now()
	if err := change(e.controller); err != nil {
		return fmt.Errorf("%s: %w", how, err)
	}
	if _, err := e.lease(ctx, held); err != nil {
		return fmt.Errorf("%s: %w", how, err)
	}
	o.note("%s: the Lease changed hands within %.0f s", how, time.Since(began).Seconds())
	e.say("  %s", how)
	return nil
}

// lease waits until somebody else than before holds the Lease, and returns who.
func (e *e2e) lease(ctx context.Context, before string) (string, error) {
	holder := ""
	_, err := await(ctx, e, "Lease", &coordinationv1.LeaseList{}, lab.Namespace, "regcred.regcred.dev", func(l *coordinationv1.Lease) bool {
		if l.Spec.HolderIdentity != nil {
			holder = *l.Spec.HolderIdentity
		}
		return holder != "" && holder != before
	})
	return holder, err
}
