// Command demo shows Regcred at work, from an applied object to a pull that works, as a timeline that ends by itself: with a real
// Kubernetes control plane, the real AWS SDK over the wire, and a registry that refuses expired tokens. KEEP=1 leaves it running.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

// tokenLife replaces the 12 h of ECR, so that a rotation and the death of a token fit into the demo.
const tokenLife = 60 * time.Second

// step is a part of the timeline. It waits for what it is to see until its limit, and no longer.
type step struct {
	name  string
	limit time.Duration
	run   func(*demo, context.Context) error
}

var story = []step{
	{"Start", 2 * time.Minute, (*demo).start},
	{"Apply", 30 * time.Second, (*demo).apply},
	{"Link", 30 * time.Second, (*demo).showLinks},
	{"Pull", 30 * time.Second, (*demo).pullImage},
	{"Status", 30 * time.Second, (*demo).showStatus},
	{"Repair a deleted Secret", 30 * time.Second, (*demo).repairDeleted},
	{"Repair an edited Secret", 30 * time.Second, (*demo).repairEdited},
	{"Serve a new namespace", 30 * time.Second, (*demo).serveNamespace},
	{"Rotate at half life", tokenLife, (*demo).rotate},
	{"Survive an outage of the cloud", time.Minute, (*demo).surviveOutage},
	{"Outlive the first token", tokenLife + 30*time.Second, (*demo).outliveFirstToken},
	{"One Secret, three clouds and Docker Hub", time.Minute, (*demo).manyRegistries},
}

var ending = []step{
	{"Delete", time.Minute, (*demo).deleteCredentials},
}

var verdict = []step{
	{"Sum up", 30 * time.Second, (*demo).sumUp},
}

func main() { os.Exit(run()) }

func run() int {
	// Whoever stops reading does not end the demo before it has cleaned up. The signal also comes from the emulators' closed connections.
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	keep := !slices.Contains([]string{"", "0"}, os.Getenv("KEEP"))
	d := &demo{printer: newPrinter(os.Stdout)}
	defer context.AfterFunc(ctx, func() { d.waiting("stopping") })()

	steps := slices.Concat(story, ending, verdict)
	if keep {
		steps = slices.Concat(story, verdict)
	}
	err := d.play(ctx, steps)
	if err == nil && keep {
		d.passed()
		d.keepRunning(ctx)
	}
	interrupted := ctx.Err() != nil
	if err := d.stop(); err != nil {
		d.failed("Stop: %v", err)
		return 1
	}
	switch {
	case interrupted:
		d.say("stopped; nothing is left behind")
		if keep && err == nil {
			return 0
		}
		return 130
	case err != nil:
		return 1
	}
	d.passed()
	return 0
}

// run ends when the step has taken too long, or the controller has ended by itself.
func (d *demo) run(ctx context.Context, s step) error {
	within := context.WithTimeout
	if d.lab != nil {
		within = d.lab.Within
	}
	limited, cancel := within(ctx, s.limit)
	defer cancel()
	err := s.run(d, limited)
	switch cause := context.Cause(limited); {
	case err == nil || cause == nil:
		return err
	case errors.Is(cause, context.DeadlineExceeded):
		return fmt.Errorf("after %s: %w", s.limit, err)
	default:
		return fmt.Errorf("%w: %w", err, cause)
	}
}

// play runs the steps in order, and tells of the first that fails.
func (d *demo) play(ctx context.Context, steps []step) error {
	for _, s := range steps {
		d.heading(s.name)
		err := d.run(ctx, s)
		if err == nil {
			continue
		}
		if ctx.Err() == nil {
			d.failed("%s: %v", s.name, err)
			d.showLog()
		}
		return err
	}
	return nil
}
