// Package tenants proves that a tenant can harm only itself. Every test is something that a tenant does to the controller with what it may
// write in its own namespace; after each, neighbours who share the cluster, a credential, a cloud or nothing at all must not have noticed.
package tenants

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/lab"
)

var (
	world      *lab.Lab
	controller *lab.Steered
	clock      = &lab.Clock{}
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	flag.Parse()
	ctrl.SetLogger(logr.Discard())
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // the controller for tests is built first
	defer cancel()
	stop, err := start(ctx)
	defer func() {
		if err := stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func start(ctx context.Context) (stop func() error, err error) {
	var stops []func() error
	stop = func() error {
		var errs []error
		for _, stop := range slices.Backward(stops) {
			errs = append(errs, stop())
		}
		return errors.Join(errs...)
	}
	dir, err := os.MkdirTemp("", "regcred-tenants-")
	if err != nil {
		return stop, err
	}
	stops = append(stops, func() error { return os.RemoveAll(dir) })
	world, err = lab.Start(ctx, controlplane.Options{
		ControllerManager: true, MoreControllers: []string{"resourcequota-controller", "clusterrole-aggregation-controller"},
		AuditLog: filepath.Join(dir, "audit.log"),
	}, cloud.Options{Clock: clock.Now})
	if err != nil {
		return stop, err
	}
	stops = append(stops, world.Stop)
	if _, err := world.Kubectl(ctx, "apply", "-k", filepath.Join(world.Root, "config", "roles")); err != nil {
		return stop, err
	}
	closeHosts, err := openHosts(ctx)
	if err != nil {
		return stop, err
	}
	stops = append(stops, func() error { closeHosts(); return nil })
	log, err := os.Create(filepath.Join(world.Root, "bin", "tenants-controller.log"))
	if err != nil {
		return stop, err
	}
	stops = append(stops, log.Close)
	controller, err = world.StartSteered(ctx, clock, log)
	return stop, err
}
