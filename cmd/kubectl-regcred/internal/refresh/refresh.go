// Package refresh asks the controller for new tokens, and waits for its answer.
package refresh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
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
	gaps := k.Gaps()
	if err == nil && len(all) == 0 && len(gaps) > 0 {
		return nil, cli.Unread(strings.Join(gaps, "; "))
	}
	for _, gap := range gaps {
		fmt.Fprintln(c.env.ErrOut, gap)
	}
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
