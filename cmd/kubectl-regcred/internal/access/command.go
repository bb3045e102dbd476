package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/check"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

const terraform = "terraform"

// command is what is asked for.
type command struct {
	env        *cli.Env
	format     *output.Format
	file, home string
	issuer     string
	asks       bool
	accounts   Accounts
}

// Command is the command access.
func Command(e *cli.Env) *cobra.Command {
	c := &command{env: e, format: output.NewFormat(terraform)}
	cmd := &cobra.Command{
		Use:   "access {NAME | -f FILE}",
		Short: "Print what a credential needs in its clouds, as commands or for Terraform",
		Long: `Print what a credential needs in its clouds: roles, trust and policies, with the credential's own values, as commands or for
Terraform. What it does not say stands in capitals. Nothing is run, and no cloud is asked.

--check asks the clouds instead, by aws, gcloud and az, which you have and are logged in with; each command is shown before it is run, and none
changes anything. It is tried against programs that answer as these do, and not yet against a cloud: take its answers as hints.

Exit codes: 0 printed, 2 error; with --check: 0 the identities may pull, 1 one may not, 3 it cannot be told of all.`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cluster.CompleteNames(e),
		RunE:              func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args) },
	}
	cli.BindOutput(cmd, c.format)
	f := cmd.Flags()
	f.StringVarP(&c.file, "filename", "f", "", "Read credentials from a file, or - for stdin. No cluster is asked.")
	f.StringVar(&c.home, "controller-namespace", "", "The controller's namespace. Default: where its Lease is, or regcred-system.")
	f.BoolVar(&c.asks, "check", false, "Ask the clouds whether the identities may pull, by aws, gcloud and az. Not yet tried against a cloud.")
	f.StringVar(&c.issuer, "issuer", "", "The cluster's issuer of ServiceAccounts' tokens. Default: what the API server says.")
	return cmd
}

func (c *command) run(ctx context.Context, args []string) error {
	if (c.file == "") == (len(args) == 0) {
		return errors.New("name a credential, or give -f")
	}
	if c.asks && c.format.Is(terraform) {
		return errors.New("--check has no answer for Terraform")
	}
	credentials, err := c.credentials(ctx, args)
	if err != nil {
		return err
	}
	o := Options{Issuer: c.issuer, Home: orElse(c.home, "regcred-system"), Namespace: c.namespace(), Accounts: c.accounts}
	if c.asks {
		o.Check = func(e *entry) check.Checks { return c.check(ctx, e) }
	}
	all := []Access{}
	for _, credential := range credentials {
		all = append(all, Of(credential, o))
	}
	if c.asks {
		return errors.Join(c.format.Write(c.env.Out, all, func(w io.Writer) error {
			writeChecks(w, c.env.Style(), all)
			return nil
		}), cli.ExitWith(has(all, check.Bad), has(all, check.Unknown)))
	}
	if c.format.Is(terraform) {
		writeTerraform(c.env.Out, all)
		return nil
	}
	return c.format.Write(c.env.Out, all, func(w io.Writer) error {
		WriteShell(w, all)
		return nil
	})
}

// namespace is that of -n or of the context. Without either it is not known: "default" would be a guess, which a cloud would then trust.
func (c *command) namespace() string {
	if *c.env.Config.Namespace != "" {
		return *c.env.Config.Namespace
	}
	config, err := c.env.Config.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return ""
	}
	name := orElse(*c.env.Config.Context, config.CurrentContext)
	if found := config.Contexts[name]; found != nil {
		return found.Namespace
	}
	return ""
}

func (c *command) credentials(ctx context.Context, args []string) ([]*cluster.Credential, error) {
	if c.file != "" {
		return cluster.CredentialsFrom(c.file, c.env)
	}
	k, err := cluster.Open(c.env)
	if err != nil {
		return nil, err
	}
	one, err := k.Named(ctx, c.env, args[0])
	if err != nil {
		return nil, err
	}
	if c.home == "" {
		c.home = k.ControllerNamespace(ctx)
	}
	if c.issuer == "" {
		c.issuer = Issuer(ctx, k)
	}
	c.accounts, err = AccountsOf(ctx, k, one, c.home)
	for _, gap := range k.Gaps() {
		fmt.Fprintln(c.env.ErrOut, gap)
	}
	return []*cluster.Credential{one}, err
}

// Issuer is what the API server says of its tokens; empty if it does not say it to the caller.
func Issuer(ctx context.Context, k *cluster.Cluster) string {
	clients, err := kubernetes.NewForConfig(k.Config)
	if err != nil {
		return ""
	}
	raw, err := clients.Discovery().RESTClient().Get().AbsPath("/.well-known/openid-configuration").DoRaw(ctx)
	var configuration struct {
		Issuer string `json:"issuer"`
	}
	if err != nil || json.Unmarshal(raw, &configuration) != nil {
		return ""
	}
	return configuration.Issuer
}

// WriteShell writes what credentials need as commands of sh.
func WriteShell(w io.Writer, all []Access) {
	for _, a := range all {
		ref := cluster.Ref{Kind: a.Kind, Namespace: a.Namespace, Name: a.Name}
		output.Comment(w, "What "+ref.Long()+" needs. What stands in capitals is for you to fill in.")
		for _, e := range a.Entries {
			fmt.Fprintln(w, "\n# "+output.Clean(e.Name)+" ("+e.Provider+")")
			for _, s := range e.Steps {
				output.Comment(w, s.What)
				if s.Shell != "" {
					fmt.Fprintln(w, s.Shell)
				}
			}
		}
	}
}

// writeTerraform writes it as blocks. What no provider of Terraform is assumed for, as of the cluster, stays a command in a comment.
func writeTerraform(w io.Writer, all []Access) {
	for _, a := range all {
		for _, e := range a.Entries {
			for _, s := range e.Steps {
				output.Comment(w, e.Name+": "+s.What)
				switch {
				case s.Terraform != "":
					fmt.Fprintln(w, s.Terraform)
				case s.Shell != "":
					fmt.Fprintln(w, "# "+s.Shell+"\n")
				}
			}
		}
	}
}
