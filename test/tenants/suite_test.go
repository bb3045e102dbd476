// Package tenants proves that a tenant can harm only itself. Every test is something that a tenant does to the controller with what it may
// write in its own namespace; after each, neighbours who share the cluster, a credential, a cloud or nothing at all must not have noticed.
package tenants

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/lab"
)

var (
	world      *lab.Lab
	controller *lab.Steered
	clock      = &lab.Clock{}
	// flags are the controller's, and controllerLog is where it writes.
	flags         []string
	controllerLog io.Writer
)

func TestMain(m *testing.M) { os.Exit(lab.RunTests(m, start)) }

func start(ctx context.Context, s *lab.Suite) error {
	dir, err := s.Dir()
	if err != nil {
		return err
	}
	world, err = lab.Start(ctx, controlplane.Options{
		ControllerManager: true, MoreControllers: []string{"resourcequota-controller", "clusterrole-aggregation-controller"},
		AuditLog: filepath.Join(dir, "audit.log"),
	}, cloud.Options{Clock: clock.Now})
	if err != nil {
		return err
	}
	s.Stops(world.Stop)
	if _, err := world.Kubectl(ctx, "apply", "-k", filepath.Join(world.Root, "config", "roles")); err != nil {
		return err
	}
	closeHosts, err := openHosts(ctx)
	if err != nil {
		return err
	}
	s.Stops(func() error { closeHosts(); return nil })
	log, err := os.Create(filepath.Join(world.Root, "bin", "tenants-controller.log"))
	if err != nil {
		return err
	}
	s.Stops(log.Close)
	if flags, err = installPlugin(dir); err != nil {
		return err
	}
	controllerLog = log
	// The clouds are called by their real names, as some of them are nobody's.
	world.ControllerEnv = append(world.ControllerEnv, "AWS_ENDPOINT_URL_ECR=", "AWS_ENDPOINT_URL_STS=")
	return startController(ctx)
}

// startController starts it, or starts it again.
func startController(ctx context.Context) (err error) {
	controller, err = world.StartSteered(ctx, clock, controllerLog, flags...)
	return err
}
