// Command e2e answers the user's only question, whether pods can pull, with the real kubelet and the real container runtime: it needs
// root on Linux, containerd and runc. It prints what happens, then a table of its scenarios, and fails if one of them does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/regcred/regcred/test/controlplane/assets"
	"github.com/regcred/regcred/test/node"
)

// limit bounds the whole run, without the making of the control plane's binaries.
const limit = 18 * time.Minute

// scenario is a row of the table. Its notes say what was seen.
type scenario struct {
	name string
	run  func(context.Context, *e2e) (outcome, error)
}

// outcome is what a scenario counted.
type outcome struct {
	pods, failedPulls int
	notes             []string
}

func (o *outcome) note(format string, args ...any) {
	o.notes = append(o.notes, fmt.Sprintf(format, args...))
}

// programme is played group by group; the scenarios of a group run at the same time, each in namespaces of its own. Those that make the
// cloud fail, or stop the controller or the kubelet, are alone.
var programme = [][]scenario{
	{{"a pod names the Secret, inherits it, or has no right to it", patterns}},
	{{"every cause of a failed pull is told", causes}},
	{{"a pod from before the link is recovered", recovered}},
	{
		{"pods through ten rotations", rotations},
		{"namespace and first pod in one apply", firstPods},
		{"one Secret for the registries of five clouds", manyRegistries},
		{"a CronJob is migrated, and goes back", migration},
	},
	{{"the kubelet's own plugin, without a Secret and beside one that has expired", ownPlugin}},
	{{"pods through an outage of half a token's life", shortOutage}},
	{{"pods through an outage longer than a token's life", longOutage}},
	{{"controller killed, replaced by a standby, upgraded", successions}},
	{{"the kubelet verifies credentials of images it has", verifications}},
}

// measurements are played after the programme, if -run matches them: they take minutes.
var measurements = [][]scenario{{{"one token in 150 namespaces, and 150 tokens", oneToken}}}

func main() { os.Exit(run()) }

func run() int {
	if len(os.Args) == 2 && os.Args[1] == loginCommand {
		return printLogin()
	}
	only := flag.String("run", "", "Play only the scenarios and measurements whose names match this regular expression. Default: all scenarios.")
	update := flag.Bool("update", false, "Write what kubectl regcred says of each cause into test/e2e/testdata.")
	flag.Parse()
	wanted, err := regexp.Compile(*only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 2
	}
	plan := programme
	if *only != "" {
		plan = slices.Concat(programme, measurements)
	}
	if !slices.ContainsFunc(slices.Concat(plan...), func(s scenario) bool { return wanted.MatchString(s.name) }) {
		fmt.Fprintf(os.Stderr, "e2e: no scenario has a name that matches %q\n", *only)
		return 2
	}
	if err := node.Missing(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: this machine cannot run it:", err)
		if os.Getenv("E2E_OPTIONAL") == "1" {
			return 0
		}
		return 1
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	if _, err := assets.Ensure(ctx, os.Stderr,
		assets.Etcd, assets.APIServer, assets.Kubectl, assets.ControllerManager, assets.Scheduler, assets.Kubelet); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return play(ctx, plan, wanted, *update)
}

func play(ctx context.Context, plan [][]scenario, wanted *regexp.Regexp, update bool) int {
	limited, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the whole run took longer than %s", limit))
	defer cancel()
	e := &e2e{out: os.Stdout, began: time.Now(), update: update}
	rows, err := e.playAll(limited, plan, wanted)
	if err != nil && ctx.Err() == nil {
		e.showLog()
	}
	cancel() // the API server does not end before the watches do
	stopped := e.stop()
	printTable(e.out, rows)
	if err != nil && ctx.Err() == nil { // last, where it is looked for
		e.say("✘ %v", err)
	}
	if stopped != nil {
		e.say("✘ stopping: %v", stopped)
	}
	switch {
	case ctx.Err() != nil:
		e.say("stopped; nothing is left behind")
		return 130
	case err != nil || stopped != nil:
		return 1
	}
	e.say("✔ e2e passed")
	return 0
}

// playAll plays group after group. A scenario that fails does not keep the others from being played.
func (e *e2e) playAll(ctx context.Context, plan [][]scenario, wanted *regexp.Regexp) ([]row, error) {
	if err := e.start(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := e.lab.WhileUp(ctx)
	defer cancel()
	var rows []row
	var errs []error
	for _, group := range plan {
		played := make([]row, len(group))
		var running sync.WaitGroup
		for i, s := range group {
			if !wanted.MatchString(s.name) {
				continue
			}
			running.Go(func() { played[i] = e.play(ctx, s) })
		}
		running.Wait()
		for _, r := range played {
			if r.name == "" {
				continue
			}
			rows = append(rows, r)
			errs = append(errs, r.err)
		}
		if ctx.Err() != nil {
			return rows, context.Cause(ctx)
		}
	}
	return rows, errors.Join(append(errs, e.check())...)
}

func (e *e2e) play(ctx context.Context, s scenario) row {
	began := time.Now()
	e.say("▶ %s", s.name)
	o, err := s.run(ctx, e)
	r := row{outcome: o, name: s.name, took: time.Since(began)}
	if err != nil {
		r.err = fmt.Errorf("%s: %w", s.name, err)
		e.say("✘ %v", r.err)
		return r
	}
	e.say("✔ %s", s.name)
	return r
}
