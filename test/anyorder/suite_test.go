// Package anyorder changes specs, labels, Secrets, ServiceAccounts and namespaces in random orders, while the controller works and is killed:
// in the end all is as if the last of each had been applied to an empty cluster.
package anyorder

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/lab"
)

var (
	cluster    *lab.Lab
	controller *lab.Steered
	clock      = &lab.Clock{}
	output     *os.File
)

func TestMain(m *testing.M) { os.Exit(lab.RunTests(m, start)) }

func start(ctx context.Context, s *lab.Suite) (err error) {
	if cluster, err = lab.Start(ctx, controlplane.Options{ControllerManager: true}, cloud.Options{Clock: clock.Now}); err != nil {
		return err
	}
	s.Stops(cluster.Stop)
	if err := os.MkdirAll(filepath.Join(cluster.Root, "bin"), 0o755); err != nil {
		return err
	}
	if output, err = os.Create(filepath.Join(cluster.Root, "bin", "anyorder-controller.log")); err != nil {
		return err
	}
	s.Stops(output.Close)
	// The floor between mints has tests of its own; here many tokens are asked for in a minute.
	cluster.ControllerEnv = []string{"REGCRED_LAB_FLOOR=1100ms"}
	return startController(ctx)
}

func startController(ctx context.Context) (err error) {
	controller, err = cluster.StartSteered(ctx, clock, output, "--zap-log-level=5")
	return err
}
