package migrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// command is what is asked for.
type command struct {
	env    *cli.Env
	format *output.Format
	dir    string
	force  bool
	from   string

	carryOut, undo, yes bool
	home                string
	timeout, left       time.Duration
}

// Command is the command migrate.
func Command(e *cli.Env) *cobra.Command {
	c := &command{env: e, format: output.NewFormat()}
	cmd := &cobra.Command{
		Use:   "migrate [{--apply | --rollback} [CRONJOB]]",
		Short: "Find what keeps pull Secrets fresh today, and print or do how Regcred takes that over",
		Long: `Find what keeps pull Secrets fresh today: CronJobs, Deployments, External Secrets and its generators for registries, registry-creds, msi-acrpull,
Reflector, Replicator: in the cluster, or in manifests by --from. Print the credentials that replace them, and the steps in their order. Nothing is changed, unless it is asked for:

--apply takes one CronJob over, with a question at each step: it tries whether the identities can mint, suspends the CronJob, hands over the Secrets of the
namespaces that it looks at, creates the credentials, and waits. If the credentials are not ready in time, everything is put back. --rollback suspends the
credentials, has the CronJob go on and run once, and deletes the credentials when it has written its tokens. What was changed is recorded in
a ConfigMap of the controller's namespace.

Exit codes: 0 printed or done, or there is nothing to take over; 1 something speaks against it, or it was undone; 2 error; 3 too little could
be read.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args) },
	}
	cli.BindOutput(cmd, c.format)
	f := cmd.Flags()
	f.StringVar(&c.dir, "output-dir", "", "Write the credentials and the steps into files of this directory, too.")
	f.StringVar(&c.from, "from", "", "Look in manifests instead of a cluster: a file, a directory, or - for stdin.")
	f.BoolVar(&c.force, "force", false, "Replace files of --output-dir; with --apply: go on although a tool keeps the CronJob, or others renew Secrets, too.")
	f.BoolVar(&c.carryOut, "apply", false, "Take a CronJob over. It may be named; the Secrets are those of -n, or of all namespaces.")
	f.BoolVar(&c.undo, "rollback", false, "Give the Secrets of a migration back to its CronJob.")
	f.BoolVarP(&c.yes, "yes", "y", false, "Answer every question with yes.")
	f.DurationVar(&c.timeout, "timeout", 5*time.Minute, "How long to wait at each step.")
	f.DurationVar(&c.left, "token-left", 30*time.Minute, "How long the tokens in the Secrets must still live for --apply. 0 does not look.")
	f.StringVar(&c.home, "controller-namespace", "", "The controller's namespace. Default: where its Lease is, or regcred-system.")
	cmd.MarkFlagsMutuallyExclusive("apply", "rollback", "output-dir")
	cmd.MarkFlagsMutuallyExclusive("apply", "rollback", "from")
	return cmd
}

func (c *command) run(ctx context.Context, args []string) error {
	if len(args) > 0 && !c.carryOut && !c.undo {
		return errors.New("a CronJob is named for --apply or --rollback only")
	}
	if c.from != "" {
		f, err := findIn(c.from, c.env.In)
		if err != nil {
			return err
		}
		return c.print(planOf(f), f.incomplete)
	}
	k, err := cluster.Open(c.env)
	switch {
	case err != nil:
		return err
	case c.carryOut:
		return c.apply(ctx, k, args)
	case c.undo:
		return c.rollback(ctx, k, args)
	}
	p, err := c.plan(ctx, k)
	if err != nil {
		return err
	}
	return c.print(p, k.Missed("secrets") || k.Missed("cronjobs"))
}

func (c *command) find(ctx context.Context, k *cluster.Cluster) (*findings, error) {
	defer c.env.Progress(ctx, "reading CronJobs, Secrets and ServiceAccounts")()
	return find(ctx, k, c.env.Scope())
}

func (c *command) plan(ctx context.Context, k *cluster.Cluster) (*Plan, error) {
	f, err := c.find(ctx, k)
	if err != nil {
		return nil, err
	}
	p := planOf(f)
	p.NotRead = append(k.Gaps(), p.NotRead...)
	return p, nil
}

// print prints the plan, and writes it into files if that is wanted.
func (c *command) print(p *Plan, undecided bool) error {
	if c.dir != "" {
		if err := c.writeFiles(p); err != nil {
			return err
		}
	}
	return errors.Join(c.format.Write(c.env.Out, p, func(w io.Writer) error { return human(w, p) }), cli.ExitWith(false, undecided))
}

// writeFiles writes what belongs into Git, and the steps. Without a credential there are none.
func (c *command) writeFiles(p *Plan) error {
	if len(p.Credentials) == 0 {
		fmt.Fprintln(c.env.ErrOut, "No file is written: there is nothing to take over.")
		return nil
	}
	manifests, err := manifestsOf(p)
	if err != nil {
		return err
	}
	var steps bytes.Buffer
	writeSteps(&steps, p, "credentials.yaml")
	_, err = output.WriteFiles(c.dir, map[string][]byte{"credentials.yaml": manifests, "steps.sh": steps.Bytes()}, c.force)
	return err
}

// manifestsOf are the credentials as YAML, without their status.
func manifestsOf(p *Plan) ([]byte, error) {
	var b bytes.Buffer
	for i, o := range p.Credentials {
		manifest, err := Manifest(o)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteString("---\n")
		}
		b.Write(manifest)
	}
	return b.Bytes(), nil
}

// Manifest is a credential as YAML, as a person would write it, in ASCII.
func Manifest(o client.Object) ([]byte, error) {
	meta := map[string]any{"name": o.GetName()}
	if o.GetNamespace() != "" {
		meta["namespace"] = o.GetNamespace()
	}
	manifest := map[string]any{"apiVersion": v1alpha1.GroupVersion.String(), "kind": o.GetObjectKind().GroupVersionKind().Kind, "metadata": meta}
	switch o := o.(type) {
	case *v1alpha1.RegistryCredential:
		manifest["spec"] = o.Spec
	case *v1alpha1.ClusterRegistryCredential:
		manifest["spec"] = o.Spec
	}
	return output.Manifest(manifest)
}

func human(w io.Writer, p *Plan) error {
	switch {
	case len(p.Found) > 0 || len(p.Credentials) > 0:
	case len(p.NotRead) > 0:
		fmt.Fprintln(w, "Nothing that you may read keeps pull Secrets fresh.")
	default:
		fmt.Fprintln(w, "Nothing was found that keeps pull Secrets fresh.")
	}
	for _, t := range p.Found {
		output.Comment(w, fmt.Sprintf("found: %s %s (%s)", t.Kind, t.where(), t.Tool))
	}
	for _, note := range p.Notes {
		output.Comment(w, "note: "+note)
	}
	if len(p.Credentials) > 0 {
		manifests, err := manifestsOf(p)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "\n# credentials.yaml (--output-dir writes it)\n%s\n", manifests)
		writeSteps(w, p, "credentials.yaml")
	}
	for _, gap := range p.NotRead {
		output.Comment(w, gap)
	}
	return nil
}
