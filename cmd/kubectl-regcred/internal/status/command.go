package status

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
	"github.com/regcred/regcred/controllers/credential"
)

// command is what is asked for.
type command struct {
	env     *cli.Env
	format  *output.Format
	failing bool
	impact  bool
	watch   bool
	wait    string
	timeout time.Duration
}

// ready is what --wait can wait for.
const ready = "ready"

// Command is the command status.
func Command(e *cli.Env) *cobra.Command {
	c := &command{env: e, format: output.NewFormat()}
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show how credentials stand: what fails, since when, until when pods can pull, and what helps",
		Long: `Show how credentials stand: what fails, since when, until when pods can pull, and what helps.

NAME is regcred/NAME, cregcred/NAME or NAME. Without it: all credentials, or with -n those of a namespace and of the cluster.

Exit codes: 0 all are Ready, 1 one is not or is Partial, 2 error, 3 credentials could not be read, 124 --wait timed out.`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cluster.CompleteNames(e),
		RunE:              func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args) },
	}
	c.bind(cmd)
	return cmd
}

func (c *command) bind(cmd *cobra.Command) {
	cli.BindOutput(cmd, c.format)
	f := cmd.Flags()
	f.BoolVar(&c.failing, "failing", false, "Show only what somebody should look at.")
	f.BoolVar(&c.impact, "impact", false, "Name the workloads whose next pod would not start. It reads pods, what makes them, ServiceAccounts and namespaces.")
	f.BoolVarP(&c.watch, "watch", "w", false, "Show it again whenever something changes.")
	f.StringVar(&c.wait, "wait", "", "Wait until the credentials are ready.")
	f.Lookup("wait").NoOptDefVal = ready
	f.DurationVar(&c.timeout, "timeout", 5*time.Minute, "How long to wait.")
}

func (c *command) run(ctx context.Context, args []string) error {
	if c.wait != "" && c.wait != ready {
		return fmt.Errorf("--wait can only wait for %s", ready)
	}
	k, err := cluster.Open(c.env)
	if err != nil {
		return err
	}
	switch {
	case c.wait != "":
		return c.untilReady(ctx, k, args)
	case c.watch:
		return k.Changes(ctx, c.env.Clock, cluster.Ref{Namespace: c.env.Scope()}, func() (bool, error) {
			r, err := c.gather(ctx, k, args)
			if err != nil {
				return false, err
			}
			c.part()
			return false, c.print(r)
		})
	default:
		r, err := c.gather(ctx, k, args)
		if err != nil {
			return err
		}
		return errors.Join(c.print(r), c.verdict(k, r))
	}
}

// part parts a report from the one before it, as the format does: people want to know when it was, and a stream of JSON needs nothing.
func (c *command) part() {
	switch {
	case c.format.Is(output.YAML):
		fmt.Fprintln(c.env.Out, "---")
	case !c.format.Is(output.JSON):
		fmt.Fprintf(c.env.Out, "--- %s\n", c.env.Clock.Now().UTC().Format(time.RFC3339))
	}
}

// untilReady prints the report once, when all are ready or the time is over.
func (c *command) untilReady(ctx context.Context, k *cluster.Cluster, args []string) error {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var last *Report
	err := k.Changes(limited, c.env.Clock, cluster.Ref{Namespace: c.env.Scope()}, func() (bool, error) {
		r, err := c.gather(limited, k, args)
		if err != nil {
			return false, err
		}
		last = r
		return allReady(r), nil
	})
	if limited.Err() != nil && ctx.Err() == nil {
		fmt.Fprintf(c.env.ErrOut, "not ready after %s\n", c.timeout)
		if last == nil { // the API server has not answered in time
			return cli.Exit(cli.TimedOut)
		}
		return errors.Join(c.print(last), cli.Exit(cli.TimedOut))
	}
	if last == nil {
		return err
	}
	return errors.Join(err, c.print(last))
}

func allReady(r *Report) bool {
	return len(r.Credentials) > 0 && !slices.ContainsFunc(r.Credentials, func(c Credential) bool { return c.Ready != metav1.ConditionTrue || c.behind })
}

// gather reads the credentials, and what their Secrets say.
func (c *command) gather(ctx context.Context, k *cluster.Cluster, args []string) (*Report, error) {
	defer c.env.Progress(ctx, "reading the credentials and their Secrets")()
	found, err := c.credentials(ctx, k, args)
	if err != nil {
		return nil, err
	}
	r, now := &Report{Credentials: []Credential{}}, c.env.Clock.Now()
	for _, credential := range found {
		r.Credentials = append(r.Credentials, assess(credential, now))
	}
	if err := c.lookAtSecrets(ctx, k, r, found, args); err != nil {
		return nil, err
	}
	slices.SortFunc(r.Credentials, order)
	r.NotRead = k.Gaps()
	return r, nil
}

// lookAtSecrets adds what the Secrets record, and who would suffer if that is asked for.
func (c *command) lookAtSecrets(ctx context.Context, k *cluster.Cluster, r *Report, found []*cluster.Credential, args []string) error {
	scope, now := c.env.Scope(), c.env.Clock.Now()
	if len(args) > 0 && len(r.Credentials) == 1 {
		scope = r.Credentials[0].Namespace
	}
	all, read, err := readTargets(ctx, k, scope, now)
	if err != nil {
		return err
	}
	all.note(r, now)
	if !c.impact || !read {
		return nil // a Secret that may not be read is none that is gone
	}
	workloads, err := all.workloads(ctx, k, found, scope, now)
	for i := range r.Credentials {
		o := &r.Credentials[i]
		o.suffer(workloads[credential.Key{Namespace: o.Namespace, Name: o.Name}])
	}
	return err
}

// credentials are those that are asked for. Who may not list those of all namespaces sees those of the own namespace.
func (c *command) credentials(ctx context.Context, k *cluster.Cluster, args []string) ([]*cluster.Credential, error) {
	if len(args) > 0 {
		one, err := k.Named(ctx, c.env, args[0])
		return []*cluster.Credential{one}, err
	}
	scope := c.env.Scope()
	all, err := k.Credentials(ctx, scope)
	if err != nil || scope != "" || !k.Missed("registrycredentials") {
		return all, err
	}
	own, err := c.env.Namespace()
	if err != nil {
		return nil, err
	}
	mine, err := k.Credentials(ctx, own)
	return append(all, slices.DeleteFunc(mine, func(c *cluster.Credential) bool { return c.Kind == v1alpha1.KindClusterRegistryCredential })...), err
}

func (c *command) print(r *Report) error {
	shown := *r
	if c.failing {
		shown.Credentials = slices.DeleteFunc(slices.Clone(r.Credentials), func(c Credential) bool { return c.State == Fine })
	}
	return c.format.Write(c.env.Out, &shown, func(w io.Writer) error {
		human{w, c.env.Style(), c.format.Wide(), c.env.Clock.Now()}.write(&shown)
		return nil
	})
}

func (c *command) verdict(k *cluster.Cluster, r *Report) error {
	return cli.ExitWith(slices.ContainsFunc(r.Credentials, func(c Credential) bool { return c.bad() }),
		k.Missed("registrycredentials") && k.Missed("clusterregistrycredentials"))
}
