package audit

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/manifest"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/node"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// The formats of audit alone.
const (
	junit = "junit"
	sarif = "sarif"
)

// command is what is asked for.
type command struct {
	env             *cli.Env
	format          *output.Format
	from, nodes     string
	failOn          Severity
	soon            time.Duration
	ignored         []string
	baseline, write string
	force           bool
}

// Command is the command audit.
func Command(e *cli.Env) *cobra.Command {
	c := &command{env: e, format: output.NewFormat(junit, sarif), failOn: Warning}
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Look over all pull Secrets, and over who uses them",
		Long: `Look over all pull Secrets that you may read, and over who uses them. Nothing is changed, and nothing that is secret is shown.

Each finding has a code, which stays what it is: docs/audit-codes.md.

Exit codes: 0 nothing of --fail-on or worse, 1 something, 2 error, 3 nothing, but not all could be read.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context()) },
	}
	cli.BindOutput(cmd, c.format)
	f := cmd.Flags()
	f.StringVar(&c.from, "from", "", "Look over manifests instead of a cluster: a file, a directory, or - for stdin.")
	f.StringVar(&c.nodes, "node-provider", "", "none: the nodes pull from no private registry by themselves, so that RC501 is looked for.")
	f.Var(&c.failOn, "fail-on", "The least severity that ends with exit code 1: info, warning, error or never.")
	f.DurationVar(&c.soon, "expiring", time.Hour, "How near an expiry is told.")
	f.StringSliceVar(&c.ignored, "ignore", nil, "What not to tell: CODE, CODE:NAMESPACE or CODE:NAMESPACE/NAME.")
	f.StringVar(&c.baseline, "baseline", "", "A file of findings that are known and not told.")
	f.StringVar(&c.write, "write-baseline", "", "Write the findings into a file for --baseline.")
	f.BoolVar(&c.force, "force", false, "Replace the file of --write-baseline.")
	return cmd
}

func (c *command) run(ctx context.Context) error {
	nodes, err := node.Parse(c.nodes)
	if err != nil {
		return err
	}
	if err := checkIgnored(c.ignored); err != nil {
		return err
	}
	var known baseline
	if c.baseline != "" {
		if known, err = readBaseline(c.baseline); err != nil {
			return err
		}
	}
	r, err := c.gather(ctx, nodes)
	if err != nil {
		return err
	}
	if c.write != "" {
		if err := writeBaseline(c.write, r.Findings, c.force); err != nil {
			return err
		}
	}
	all := len(r.Findings)
	r.Findings = hold(r.Findings, known, c.ignored)
	r.Known = all - len(r.Findings)
	bad := slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity.rank() >= c.failOn.rank() })
	return errors.Join(c.print(r), cli.ExitWith(bad, len(r.NotRead) > 0))
}

// gather reads and looks.
func (c *command) gather(ctx context.Context, nodes node.Identities) (*Report, error) {
	defer c.env.Progress(ctx, "reading Secrets, ServiceAccounts and workloads")()
	var i *inventory
	var err error
	r := &Report{}
	if c.from != "" {
		var gaps manifest.Gaps
		i, gaps, err = readFrom(c.from, c.env.In)
		r.NotRead, r.Skipped = gaps.NotRead, gaps.Skipped
	} else {
		var k *cluster.Cluster
		if k, err = cluster.Open(c.env); err != nil {
			return nil, err
		}
		i, err = read(ctx, k, c.env.Scope())
		r.NotRead = k.Gaps()
	}
	if err != nil {
		return nil, err
	}
	a := &auditor{inventory: i, now: c.env.Clock.Now(), soon: c.soon, private: nodes.Known() && !nodes.Any()}
	r.Findings, r.Secrets = a.audit(), i.list()
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	return r, nil
}

func (c *command) print(r *Report) error {
	switch {
	case c.format.Is(junit):
		return r.junit(c.env.Out)
	case c.format.Is(sarif):
		return r.sarif(c.env.Out, c.env.Version)
	}
	return c.format.Write(c.env.Out, r, func(w io.Writer) error {
		r.human(w, c.env.Style(), c.format.Wide(), c.env.Clock.Now())
		return nil
	})
}
