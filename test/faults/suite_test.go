// Package faults ends, delays and confuses the controller wherever that can be done, and checks that nothing comes of it.
package faults

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/faults/history"
	"github.com/regcred/regcred/test/lab"
)

var (
	world      *lab.Lab
	controller *lab.Steered
	clock      = &lab.Clock{}
	between    = newFront()
	recorder   *history.Recorder
	output     *os.File
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
	code = m.Run()
	broken, err := recorder.Check() // of what all tests together have made happen
	for _, sentence := range broken {
		fmt.Fprintln(os.Stderr, "history:", sentence)
		code = 1
	}
	if len(broken) > 0 {
		fmt.Fprintln(os.Stderr, again(flag.Lookup("test.run").Value.String()))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// again is the command that repeats a test with its seed.
func again(test string) string {
	test, _, _ = strings.Cut(test, "/")
	command := fmt.Sprintf("again: make faults RUN='%s' SEED=%d", test, *seed)
	if *nightly {
		command += " NIGHTLY=1"
	}
	return command
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
	dir, err := os.MkdirTemp("", "regcred-faults-")
	if err != nil {
		return stop, err
	}
	stops = append(stops, func() error { return os.RemoveAll(dir) })
	world, err = lab.Start(ctx, controlplane.Options{ControllerManager: true, MoreControllers: []string{"resourcequota-controller"}, AuditLog: filepath.Join(dir, "audit.log")}, cloud.Options{Clock: clock.Now})
	if err != nil {
		return stop, err
	}
	stops = append(stops, world.Stop)
	if world.Client, err = patient(world.Config, world.Client); err != nil {
		return stop, err
	}
	if err := os.MkdirAll(filepath.Join(world.Root, "bin"), 0o755); err != nil {
		return stop, err
	}
	if output, err = os.Create(filepath.Join(world.Root, "bin", "faults-controller.log")); err != nil {
		return stop, err
	}
	stops = append(stops, output.Close)
	if recorder, err = history.Record(ctx, world, clock.Now); err != nil {
		return stop, err
	}
	stops = append(stops, recorder.Stop)
	closeFront, err := standBetween()
	if err != nil {
		return stop, err
	}
	stops = append(stops, closeFront)
	return stop, startController(ctx)
}

// standBetween puts the front before the API server and ECR.
func standBetween() (stop func() error, err error) {
	ecr, err := between.cloud(world.AWS.ECRURL(), world.AWS.Transport())
	if err != nil {
		return nil, err
	}
	world.ControllerEnv = append(world.ControllerEnv, "AWS_ENDPOINT_URL_ECR="+ecr.URL)
	servers := []*httptest.Server{ecr}
	// One for each controller, as the audit log tells them apart by who they are to the API server.
	world.Front = func(config *rest.Config) (string, error) {
		api, err := between.api(config)
		if err != nil {
			return "", err
		}
		servers = append(servers, api)
		return api.URL, nil
	}
	return func() error {
		if controller != nil { // it would connect again
			if err := controller.Stop(); err != nil {
				return err
			}
		}
		for _, s := range servers {
			s.CloseClientConnections()
			s.Close()
		}
		return nil
	}, nil
}

func startController(ctx context.Context) (err error) {
	controller, err = world.StartSteered(ctx, clock, output)
	if err == nil {
		between.kill = func() { _ = controller.Kill() }
	}
	return err
}
