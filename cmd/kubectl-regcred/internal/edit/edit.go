// Package edit changes credentials for an emergency: it suspends and resumes them, and overrides what a provider mints.
package edit

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// command is what the commands that edit have in common.
type command struct {
	env    *cli.Env
	format *output.Format
	force  bool
}

// Result is what has been done.
type Result struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	// Done is what has been done, in a word or two.
	Done string `json:"done"`
	// Secret is the Secret that was made or deleted with it.
	Secret string `json:"secret,omitempty"`
}

func (c *command) bind(cmd *cobra.Command) {
	cli.BindOutput(cmd, c.format)
	cmd.Flags().BoolVar(&c.force, "force", false, "Change it although a tool that keeps it will undo that.")
}

// Suspend is the command suspend.
func Suspend(e *cli.Env) *cobra.Command {
	return suspension(e, true, "suspended", &cobra.Command{
		Use: "suspend NAME", Short: "Stop everything that is done for a credential: nothing is minted, written, linked or removed",
		Long: `Stop everything that is done for a credential: nothing is minted, written, linked or removed. Pods pull until its tokens expire.

Exit codes: 0 suspended, 2 error.`,
	})
}

// Resume is the command resume.
func Resume(e *cli.Env) *cobra.Command {
	return suspension(e, false, "resumed", &cobra.Command{
		Use: "resume NAME", Short: "Go on with a credential that is suspended",
		Long: "Go on with a credential that is suspended.\n\nExit codes: 0 resumed, 2 error.",
	})
}

func suspension(e *cli.Env, suspend bool, done string, cmd *cobra.Command) *cobra.Command {
	c := &command{env: e, format: output.NewFormat()}
	cmd.Args, cmd.ValidArgsFunction = cobra.ExactArgs(1), cluster.CompleteNames(e)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.suspend(cmd.Context(), args[0], suspend, done)
	}
	c.bind(cmd)
	return cmd
}

func (c *command) suspend(ctx context.Context, name string, suspend bool, done string) error {
	k, err := cluster.Open(c.env)
	if err != nil {
		return err
	}
	o, err := k.Named(ctx, c.env, name)
	if err != nil {
		return err
	}
	if o.Spec.Suspend == suspend {
		return c.print(resultOf(o, "already "+done))
	}
	spec := map[string]any{"spec": map[string]any{"suspend": suspend}}
	if err := c.allowed(o, spec, "nothing was changed"); err != nil {
		return err
	}
	patch, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	if err := k.Patch(ctx, o.Object, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("%s: %w", o.Ref().Long(), err)
	}
	return c.print(resultOf(o, done))
}

func resultOf(o *cluster.Credential, done string) Result {
	return Result{Kind: o.Kind, Namespace: o.GetNamespace(), Name: o.GetName(), Done: done}
}

// allowed says whether the spec may be changed here. Where a tool keeps it, the patch is printed for the place where the tool finds it, and
// the error says what has been done so far.
func (c *command) allowed(o *cluster.Credential, patch any, done string) error {
	tool := Keeper(o)
	if tool == "" || c.force {
		return nil
	}
	raw, err := yaml.Marshal(patch)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.env.Out, "# %s keeps %s as it is elsewhere. Change it there:\n%s", output.Clean(tool), output.Clean(o.Ref().Long()), raw)
	return fmt.Errorf("%s is kept by %s, which would undo a change: %s; --force changes it here, too", o.Ref().Long(), tool, done)
}

func (c *command) print(r Result) error {
	return c.format.Write(c.env.Out, r, func(w io.Writer) error {
		ref := cluster.Ref{Kind: r.Kind, Namespace: r.Namespace, Name: r.Name}
		fmt.Fprintln(w, output.Clean(ref.Long()+": "+r.Done))
		return nil
	})
}
