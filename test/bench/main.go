// Command bench measures Regcred on a real API server: how close it comes to the raw rate of writes, what it asks of the cloud and of the
// API server, what it takes from the machine, and how fast it answers an arrival. Ratios within one run are what counts: the rates
// themselves depend on the machine, which the control plane, the controller and the bench share.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

type options struct {
	namespaces int
	rounds     int
	arrivals   int
	only       string
	targets    int
	strict     bool
	bounds     string
	table      string
	profiles   string
	json       string
	log        string
}

func (o *options) bind(f *flag.FlagSet) {
	f.IntVar(&o.namespaces, "namespaces", 1000, "Namespaces that one credential fans out to.")
	f.IntVar(&o.rounds, "rounds", 3, "Fan-outs and rotations, each beside the raw ceiling; the median ratio counts.")
	f.IntVar(&o.arrivals, "arrivals", 100, "Arrivals of each kind whose latency is measured, five a second.")
	f.StringVar(&o.only, "case", "all", "What to measure: "+strings.Join(slices.Sorted(maps.Keys(cases())), ", ")+".")
	f.IntVar(&o.targets, "targets", 10000, "Namespaces of the cases scale, latency and growth.")
	f.BoolVar(&o.strict, "strict", false, "Fail if a target is missed.")
	f.StringVar(&o.bounds, "check", "", "File of bounds to compare the figures with; fail if one is missed.")
	f.StringVar(&o.table, "table", "", "Directory with the files of -json of earlier runs: print them beside the bounds of -check as a table of Markdown, and measure nothing.")
	f.StringVar(&o.profiles, "profiles", "", "Directory for profiles of the controller's memory and processor time, of each phase; the figures are then not those of a release.")
	f.StringVar(&o.json, "json", "", "File to write the figures to as JSON, too.")
	f.StringVar(&o.log, "log", os.DevNull, "File for the controller's log.")
}

func main() {
	var o options
	o.bind(flag.CommandLine)
	flag.Parse()
	if o.table != "" {
		if err := printTable(os.Stdout, o.table, o.bounds); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	missed, err := run(ctx, o)
	stop()
	switch {
	case err != nil:
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintln(os.Stderr, "bench:", strings.TrimSpace(line))
		}
		os.Exit(1)
	case missed > 0 && o.strict:
		os.Exit(2)
	}
}

// cases are what can be measured alone.
func cases() map[string]func(*bench, context.Context) error {
	return map[string]func(*bench, context.Context) error{
		"all":        (*bench).all,
		"company":    (*bench).companyOnly,
		"growth":     (*bench).growthOnly,
		"hour":       (*bench).hourOnly,
		"latency":    (*bench).latencyOnly,
		"calls":      (*bench).callsOnly,
		"scale":      (*bench).scaleOnly,
		"neighbours": (*bench).neighbourOnly,
		"providers":  (*bench).providersOnly,
		"strangers":  (*bench).strangersOnly,
		"storm":      (*bench).stormOnly,
	}
}

// run measures, prints and returns how many targets were missed.
func run(ctx context.Context, o options) (missed int, err error) {
	measure, name := cases()[o.only], o.only
	switch {
	case measure == nil:
		return 0, fmt.Errorf("there is no case %q", o.only)
	case o.only == "scale":
		o.namespaces, o.rounds, name = o.targets, 1, fmt.Sprintf("%d namespaces", o.targets)
	}
	b, err := newBench(ctx, o)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	// What was measured before a failure is printed, too.
	err = errors.Join(measure(b, ctx), b.report.broken(), b.lawful())
	b.report.Run = name
	b.report.print(os.Stdout)
	if o.json != "" {
		err = errors.Join(err, b.report.write(o.json))
	}
	if err == nil && o.bounds != "" {
		err = b.report.check(os.Stdout, o.bounds, name)
	}
	return b.report.missed(), err
}

// all measures everything.
func (b *bench) all(ctx context.Context) error {
	if err := b.prepareNamespaces(ctx); err != nil {
		return err
	}
	raw, err := b.newCeiling(ctx)
	if err != nil {
		return err
	}
	s, err := b.serve(ctx, raw)
	if err != nil {
		return err
	}
	raw.report(&b.report)
	b.reportServed(s)
	if err := b.restart(ctx, s.last()); err != nil {
		return err
	}
	if err := b.links(ctx, raw); err != nil {
		return err
	}
	if err := b.credentialLatency(ctx); err != nil {
		return err
	}
	if err := b.namespaceLatency(ctx); err != nil {
		return err
	}
	if err := b.neighbour(ctx); err != nil {
		return err
	}
	if err := b.storm(ctx); err != nil {
		return err
	}
	// What follows is to find a controller and a cluster as empty as the first fan-out did.
	for _, name := range []string{s.last().credential, linkedName} {
		if err := b.clear(ctx, name); err != nil {
			return err
		}
	}
	if err := b.controller.Stop(); err != nil {
		return err
	}
	return b.everyProvider(ctx)
}

// providersOnly measures every provider and nothing else.
func (b *bench) providersOnly(ctx context.Context) error {
	if err := b.prepareNamespaces(ctx); err != nil {
		return err
	}
	return b.everyProvider(ctx)
}
