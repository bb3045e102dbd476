package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// sample is what the controller holds at a moment.
type sample struct {
	at                            time.Duration
	heap, goroutines, descriptors float64
	rss                           int64
}

// measure takes a sample. The heap is what is reachable.
func (s *soak) measure(ctx context.Context, at time.Duration) error {
	heap, err := s.controller.Heap(ctx)
	if err != nil {
		return err
	}
	metrics, err := s.controller.ReadMetrics(ctx)
	if err != nil {
		return err
	}
	usage, err := s.controller.Usage()
	if err != nil {
		return err
	}
	goroutines, err1 := metric(metrics, "go_goroutines")
	descriptors, err2 := metric(metrics, "process_open_fds")
	s.samples = append(s.samples, sample{at, float64(heap), goroutines, descriptors, usage.RSS})
	return errors.Join(err1, err2)
}

func metric(metrics, name string) (float64, error) {
	for line := range strings.Lines(metrics) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("no metric %s", name)
}

// drift prints by how much the last third of the samples is above the second; the first is the start. It fails if that is more than comes and goes.
func (s *soak) drift() error {
	third := len(s.samples) / 3
	if third < 4 {
		return fmt.Errorf("%d samples say nothing: let it run for longer", len(s.samples))
	}
	before, after := s.samples[third:2*third], s.samples[len(s.samples)-third:]
	var errs []error
	for _, m := range []struct {
		name         string
		of           func(sample) float64
		share, spare float64 // that it may grow by
	}{
		{"bytes of live heap", func(s sample) float64 { return s.heap }, .1, 1 << 20},
		{"goroutines", func(s sample) float64 { return s.goroutines }, .05, 10},
		{"descriptors", func(s sample) float64 { return s.descriptors }, .05, 5},
		{"bytes resident", func(s sample) float64 { return float64(s.rss) }, .2, 16 << 20},
	} {
		was, is := mean(before, m.of), mean(after, m.of)
		fmt.Printf("%-20s %14.1f -> %14.1f  %+.2f %%\n", m.name, was, is, 100*(is-was)/was)
		if is-was > m.share*was+m.spare {
			errs = append(errs, fmt.Errorf("%s grow from %.0f to %.0f", m.name, was, is))
		}
	}
	return errors.Join(errs...)
}

func mean(samples []sample, of func(sample) float64) (sum float64) {
	for _, s := range samples {
		sum += of(s)
	}
	return sum / float64(len(samples))
}

// races ends the controller, and looks for the race detector's words in what it has said.
func (s *soak) races() error {
	err := s.controller.Stop()
	said, readErr := os.ReadFile(s.log.Name())
	if bytes.Contains(said, []byte("WARNING: DATA RACE")) {
		err = errors.Join(err, fmt.Errorf("the race detector has found something: see %s", s.log.Name()))
	}
	return errors.Join(err, readErr)
}
