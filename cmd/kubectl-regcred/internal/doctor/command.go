package doctor

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/check"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// Command is the command doctor.
func Command(e *cli.Env) *cobra.Command {
	format := output.NewFormat()
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at how Regcred is installed and whether it works",
		Long: `Look at how Regcred is installed and whether it works: definitions, controller, leader and clocks, rules, policies, identity, credentials.
It creates nothing. What you may not read is said.

Exit codes: 0 all is well, 1 something is not, 2 error, 3 not everything could be checked.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), e, format) },
	}
	cli.BindOutput(cmd, format)
	return cmd
}

func run(ctx context.Context, e *cli.Env, format *output.Format) error {
	k, err := cluster.Open(e)
	if err != nil {
		return err
	}
	d := &doctor{k: k, version: e.Version, now: e.Clock.Now(), report: &Report{}}
	if err := d.examine(ctx, e); err != nil {
		return err
	}
	checks := d.report.Checks
	return errors.Join(format.Write(e.Out, d.report, func(w io.Writer) error {
		checks.Write(w, e.Style(), "")
		return nil
	}), cli.ExitWith(checks.Has(check.Bad), checks.Has(check.Unknown)))
}

func (d *doctor) examine(ctx context.Context, e *cli.Env) error {
	defer e.Progress(ctx, "looking at the cluster")()
	for _, look := range looks {
		if err := look(d, ctx); err != nil {
			return err
		}
	}
	return nil
}
