package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// profiledFor is how long a profile of the processor is taken.
const profiledFor = 10 * time.Second

func (b *bench) startProfiled(ctx context.Context, flags []string) (time.Duration, error) {
	if err := os.MkdirAll(b.profiles, 0o700); err != nil {
		return 0, err
	}
	b.ControllerEnv = append(b.ControllerEnv, "GODEBUG="+os.Getenv("GODEBUG")) // memprofilerate=1 lets no allocation pass unseen
	start := time.Now()
	var err error
	if b.profiled, err = b.StartProfiled(ctx, b.log, flags...); err != nil {
		return 0, err
	}
	b.controller = b.profiled.Controller
	return time.Since(start), nil
}

// profileDuring takes a profile of the processor from before a phase on, and one of the memory after it; nothing without -profiles.
func (b *bench) profileDuring(ctx context.Context, phase string, do func() error) error {
	if b.profiled == nil {
		return do()
	}
	cpu := make(chan error, 1)
	go func() { cpu <- b.profiled.ProfileCPU(ctx, profiledFor, filepath.Join(b.profiles, phase+".cpu")) }()
	err := do()
	return errors.Join(err, <-cpu, b.profileHeap(ctx, phase))
}

// profileHeap takes a profile of the memory; nothing without -profiles.
func (b *bench) profileHeap(ctx context.Context, phase string) error {
	if b.profiled == nil {
		return nil
	}
	return b.profiled.Profile(ctx, filepath.Join(b.profiles, phase+".heap"))
}
