package lab

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

// startTime is enough to build what a suite starts, too.
const startTime = 5 * time.Minute

// Suite is what the tests of a package share. What is started first is stopped last.
type Suite struct{ stops []func() error }

// Stops has something stopped when all tests have ended.
func (s *Suite) Stops(stop func() error) { s.stops = append(s.stops, stop) }

// Dir makes a directory that is there until all tests have ended.
func (s *Suite) Dir() (string, error) {
	dir, err := os.MkdirTemp("", "regcred-suite-")
	if err == nil {
		s.Stops(func() error { return os.RemoveAll(dir) })
	}
	return dir, err
}

func (s *Suite) stop() error {
	var errs []error
	for _, stop := range slices.Backward(s.stops) {
		errs = append(errs, stop())
	}
	return errors.Join(errs...)
}

// RunTests is for TestMain: it starts what the tests of a package share, runs them, looks at what they have brought about, and gives the exit
// code. Without what is needed it fails and says how to get it; it never skips.
//
//	func TestMain(m *testing.M) { os.Exit(lab.RunTests(m, start, recorded)) }
func RunTests(m *testing.M, start func(context.Context, *Suite) error, after ...func(context.Context) error) (code int) {
	flag.Parse()
	ctrl.SetLogger(logr.Discard())
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	var s Suite
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	defer func() { fail(s.stop()) }()
	if err := start(ctx, &s); err != nil {
		fail(err)
		return code
	}
	code = m.Run()
	for _, look := range after {
		fail(look(context.Background()))
	}
	return code
}
