package initialize

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// command is what is asked for.
type command struct {
	env     *cli.Env
	format  *output.Format
	answers Answers
	dir     string
	force   bool
}

// Command is the command init.
func Command(e *cli.Env) *cobra.Command {
	c := &command{env: e, format: output.NewFormat()}
	cmd := &cobra.Command{
		Use:   "init [IMAGE]",
		Short: "Write what a first installation needs: values, a credential, and the commands for the cloud",
		Long: `Write what a first installation needs: values of the chart, a credential, and the commands for the cloud. IMAGE is one that your pods
pull: the cloud, the registry and mostly the account follow from it. On a terminal it asks for the cloud, the account, the registry and the
namespaces, unless a flag says them; elsewhere what neither a flag nor the image says is an error. No cluster is needed.

Exit codes: 0 written or printed, 2 error.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd, args) },
	}
	cli.BindOutput(cmd, c.format)
	f := cmd.Flags()
	f.StringVar(&c.answers.Cloud, "cloud", "", "The cloud of the registry: aws, google, azure, or none for a login in a Secret. Default: that of the image.")
	f.StringVar(&c.answers.Account, "account", "", "The AWS account, the Google Cloud project or the Azure tenant of the identity. Default: that of the image.")
	f.StringVar(&c.answers.Registry, "registry", "", "The host of the registry. Default: that of the image.")
	f.StringSliceVar(&c.answers.Namespaces, "namespaces", nil, "The namespaces that get the Secret; -A for all.")
	f.StringVar(&c.answers.Identity, "identity", Controller, "Who asks the cloud: controller, with its own identity, or serviceaccount, which no pod runs as.")
	f.StringVar(&c.answers.Name, "name", "registry-pull", "The name of the credential and of the Secret.")
	f.StringSliceVar(&c.answers.Accounts, "serviceaccounts", []string{"default"}, "The ServiceAccounts that get the Secret.")
	f.StringVar(&c.dir, "output-dir", "", "Write files into this directory instead of printing them.")
	f.BoolVar(&c.force, "force", false, "Replace files of --output-dir.")
	for flag, values := range map[string][]string{"cloud": clouds, "identity": {Controller, ServiceAccount}} {
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	return cmd
}

func (c *command) run(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		c.answers.Image = args[0]
	}
	for _, flag := range []string{"cloud", "account", "registry", "namespaces"} {
		if f := cmd.Flags().Lookup(flag); f.Changed && f.Value.String() == "" {
			return fmt.Errorf("--%s is empty", flag)
		}
	}
	c.answers.All = c.env.AllNamespaces
	var lines *bufio.Scanner
	if output.IsTerminal(c.env.In) {
		lines = bufio.NewScanner(c.env.In)
	}
	if err := c.answers.complete(lines, c.env.ErrOut); err != nil {
		return err
	}
	files, err := Files(c.answers)
	if err != nil {
		return err
	}
	if c.dir != "" {
		return c.write(files)
	}
	texts := map[string]string{}
	for name, content := range files {
		texts[name] = string(content)
	}
	return c.format.Write(c.env.Out, texts, func(w io.Writer) error {
		for _, name := range slices.Sorted(maps.Keys(files)) {
			fmt.Fprintf(w, "# %s\n%s\n", name, files[name])
		}
		return nil
	})
}

func (c *command) write(files map[string][]byte) error {
	paths, err := output.WriteFiles(c.dir, files, c.force)
	for _, path := range paths {
		fmt.Fprintln(c.env.Out, "written: "+output.Clean(path))
	}
	return err
}
