// Package refresh asks the controller for new tokens, and waits for its answer.
package refresh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// command is what is asked for.
type command struct {
	env                *cli.Env
	format             *output.Format
	all, expired, wait bool
	timeout            time.Duration
}

// Result is what has become of the request of one credential.
type Result struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	// RequestedAt is the value that was written.
	RequestedAt string  `json:"requestedAt,omitempty"`
	Outcome     Outcome `json:"outcome"`
	// Failures say what failed, and in which namespaces.
	Failures []string `json:"failures,omitempty"`
}

// Outcome is what has become of a request.
type Outcome string

// The outcomes.
const (
	Requested Outcome = "Requested"
	Refreshed Outcome = "Refreshed"
	Failed    Outcome = "Failed"
	Suspended Outcome = "Suspended"
	Unknown   Outcome = "TimedOut"
)

// Command is the command refresh.
func Command(e *cli.Env) *cobra.Command {
	c := &command{env: e, format: output.NewFormat()}
	cmd := &cobra.Command{
		Use:   "refresh {NAME | --all}",
		Short: "Ask for new tokens now",
		Long: `Ask for new tokens now. The controller makes at most one a minute for a credential.

With --wait it ends when the request has been answered in every namespace.

Exit codes: 0 requested, or with --wait refreshed; 1 a refresh failed, or the credential is suspended; 2 error; 124 --wait timed out.`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cluster.CompleteNames(e),
		RunE:              func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args) },
	}
	cli.BindOutput(cmd, c.format)
	f := cmd.Flags()
	f.BoolVar(&c.all, "all", false, "Refresh all credentials, or with -n those of the namespace and of the cluster.")
	f.BoolVar(&c.expired, "expired", false, "With --all: only those of which a token has expired.")
	f.BoolVar(&c.wait, "wait", false, "Wait for the answer.")
	f.DurationVar(&c.timeout, "timeout", 5*time.Minute, "How long to wait.")
	return cmd
}

func (c *command) run(ctx context.Context, args []string) error {
	if c.all == (len(args) == 1) {
		return errors.New("name a credential, or give --all")
	}
	if c.expired && !c.all {
		return errors.New("--expired goes with --all")
	}
	k, err := cluster.Open(c.env)
	if err != nil {
		return err
	}
	chosen, err := c.choose(ctx, k, args)
	if err != nil {
		return err
	}
	results := make([]Result, len(chosen))
	for i, credential := range chosen {
		if results[i], err = c.request(ctx, k, credential); err != nil {
			return err
		}
	}
	if c.wait {
		if err := c.await(ctx, k, results); err != nil {
			return err
		}
	}
	return errors.Join(c.print(results), verdict(results))
}

func (c *command) choose(ctx context.Context, k *cluster.Cluster, args []string) ([]*cluster.Credential, error) {
	if len(args) == 1 {
		one, err := k.Named(ctx, c.env, args[0])
		return []*cluster.Credential{one}, err
	}
	all, err := k.Credentials(ctx, c.env.Scope())
	if c.expired {
		all = slices.DeleteFunc(all, func(o *cluster.Credential) bool {
			return o.Status.ExpiresAt == nil || o.Status.ExpiresAt.After(c.env.Clock.Now())
		})
	}
	return all, err
}

// request asks for new tokens of a credential, unless it is suspended: then the answer would come when it no longer is.
func (c *command) request(ctx context.Context, k *cluster.Cluster, o *cluster.Credential) (Result, error) {
	r := Result{Kind: o.Kind, Namespace: o.GetNamespace(), Name: o.GetName(), Outcome: Requested}
	if o.Spec.Suspend {
		r.Outcome = Suspended
		return r, nil
	}
	r.RequestedAt = c.env.Clock.Now().UTC().Format(time.RFC3339Nano)
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"annotations": map[string]string{v1alpha1.AnnotationRefreshRequestedAt: r.RequestedAt},
	}})
	if err != nil {
		return r, err
	}
	if err := k.Patch(ctx, o.Object, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return r, fmt.Errorf("asking for a refresh of %s: %w", o.Ref(), err)
	}
	return r, nil
}

// await waits until each request is answered, or the time is over.
func (c *command) await(ctx context.Context, k *cluster.Cluster, results []Result) error {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	fmt.Fprintf(c.env.ErrOut, "waiting for the controller, for %s at most ...\n", c.timeout)
	of := cluster.Ref{Namespace: c.env.Scope()}
	if len(results) == 1 {
		of = results[0].ref()
	}
	err := k.Changes(limited, c.env.Clock, of, func() (bool, error) { return judgeAll(limited, k, of, results) })
	if limited.Err() == nil || ctx.Err() != nil {
		return err
	}
	for i := range results {
		if results[i].Outcome == Requested {
			results[i].Outcome = Unknown
		}
	}
	return nil
}

// judgeAll says whether all requests are answered.
func judgeAll(ctx context.Context, k *cluster.Cluster, of cluster.Ref, results []Result) (bool, error) {
	current, err := k.Current(ctx, of)
	if err != nil {
		return false, err
	}
	done := true
	for i := range results {
		if r := &results[i]; r.Outcome == Requested {
			o := current[r.ref()]
			if o == nil {
				return false, fmt.Errorf("%s has been deleted", r.ref().Long())
			}
			done = r.judge(o) && done
		}
	}
	return done, nil
}

func (r *Result) ref() cluster.Ref {
	return cluster.Ref{Kind: r.Kind, Namespace: r.Namespace, Name: r.Name}
}

// judge says whether the request is answered. Of several requests the newest is: it answers those before it.
func (r *Result) judge(o *cluster.Credential) bool {
	newest := o.GetAnnotations()[v1alpha1.AnnotationRefreshRequestedAt]
	if newest == "" || o.Status.LastHandledRefreshAt != newest {
		return false
	}
	r.Outcome = Refreshed
	if r.Failures = failures(o); len(r.Failures) > 0 {
		r.Outcome = Failed
	}
	return true
}

// failures are what a credential reports to fail.
func failures(o *cluster.Credential) []string {
	var all []string
	for _, e := range o.Status.Registries {
		if e.Reason != "" && e.Reason != v1alpha1.ReasonOverridden {
			all = append(all, fmt.Sprintf("registry %s: %s: %s", e.Name, e.Reason, e.Message))
		}
	}
	if o.Cluster != nil {
		for _, f := range o.Cluster.Failures {
			more := ""
			if n := int(f.Count) - len(f.Namespaces); n > 0 {
				more = fmt.Sprintf(" and %d more", n)
			}
			all = append(all, fmt.Sprintf("namespaces %s%s: %s: %s", strings.Join(f.Namespaces, ", "), more, f.Reason, f.Message))
		}
	}
	ready := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionReady)
	if len(all) == 0 && (ready == nil || ready.Status != "True") {
		all = append(all, "it is not Ready")
		if ready != nil {
			all[0] += ": " + ready.Reason + ": " + ready.Message
		}
	}
	return all
}

func (c *command) print(results []Result) error {
	return c.format.Write(c.env.Out, results, func(w io.Writer) error {
		if len(results) == 0 {
			fmt.Fprintln(w, "There is nothing to refresh.")
		}
		for i := range results {
			r := &results[i]
			fmt.Fprintln(w, output.Clean(r.ref().Long())+": "+c.words(r))
			for _, failure := range r.Failures {
				output.Wrap(w, "  ", failure)
			}
		}
		return nil
	})
}

func (c *command) words(r *Result) string {
	switch r.Outcome {
	case Requested:
		return "refresh requested"
	case Refreshed:
		return "refreshed"
	case Suspended:
		return "suspended, so that nothing is refreshed: kubectl regcred resume " + output.Shell(r.ref().String())
	case Unknown:
		return fmt.Sprintf("no answer after %s", c.timeout)
	default:
		return "refresh failed"
	}
}

func verdict(results []Result) error {
	has := func(o Outcome) bool {
		return slices.ContainsFunc(results, func(r Result) bool { return r.Outcome == o })
	}
	switch {
	case has(Failed), has(Suspended):
		return cli.Exit(cli.Findings)
	case has(Unknown):
		return cli.Exit(cli.TimedOut)
	default:
		return nil
	}
}
