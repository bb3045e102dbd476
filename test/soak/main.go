// Command soak lets the controller, built with the race detector, rotate very often for a long time while namespaces, Secrets and links come
// and go, and fails if what it holds of the machine grows, or if what must hold of every history does not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/faults/history"
	"github.com/regcred/regcred/test/lab"
)

// usualLife is that of a token of ECR.
const usualLife = 12 * time.Hour

type soak struct {
	lasts      time.Duration
	rate       int
	namespaces int
	seed       uint64

	lab        *lab.Lab
	controller *lab.Steered
	log        *os.File
	samples    []sample
}

func main() {
	s := &soak{}
	flag.DurationVar(&s.lasts, "for", 5*time.Minute, "How long.")
	flag.IntVar(&s.rate, "rate", 100, "How many times as often as usual tokens are rotated.")
	flag.IntVar(&s.namespaces, "namespaces", 100, "Namespaces that a credential serves.")
	flag.Uint64Var(&s.seed, "seed", 1, "Chooses what comes and goes.")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := s.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "soak: %v\nagain: make soak SOAK=%s RATE=%d SEED=%d\n", err, s.lasts, s.rate, s.seed)
		os.Exit(1)
	}
}

func (s *soak) run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "regcred-soak-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s.lab, err = lab.Start(ctx, controlplane.Options{ControllerManager: true, AuditLog: filepath.Join(dir, "audit.log")},
		cloud.Options{TokenLife: usualLife / time.Duration(s.rate)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.lab.Stop()) }()
	recorder, err := history.Record(ctx, s.lab, time.Now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, recorder.Stop()) }()
	if s.log, err = os.Create(filepath.Join(s.lab.Root, "bin", "soak-controller.log")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.log.Close()) }()
	if s.lab.Race = s.lab.CanRace(ctx); !s.lab.Race {
		fmt.Println("no C compiler that works with cgo: the controller is built without the race detector")
	}
	if s.controller, err = s.lab.StartSteered(ctx, &lab.Clock{}, s.log); err != nil {
		return err
	}
	up, cancel := s.lab.WhileUp(ctx)
	defer cancel()
	if err := s.live(up); err != nil {
		return err
	}
	fmt.Printf("%s at %d times the usual rotation over %d namespaces: %d tokens, %d samples\n",
		s.lasts, s.rate, s.namespaces, len(s.lab.AWS.Tokens()), len(s.samples))
	return errors.Join(s.drift(), s.races(), s.lawful(recorder))
}

// lawful is what must hold of every history.
func (s *soak) lawful(recorder *history.Recorder) error {
	broken, err := recorder.Check()
	for _, sentence := range broken {
		err = errors.Join(err, errors.New("history: "+sentence))
	}
	return err
}
