package initialize

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

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
pull: the cloud, the account and the region follow from it. On a terminal it asks for what is not given. No cluster is needed.

Exit codes: 0 written or printed, 2 error.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return c.run(args) },
	}
	cli.BindOutput(cmd, c.format)
	f := cmd.Flags()
	f.StringVar(&c.answers.Name, "name", "registry-pull", "The name of the credential and of the Secret.")
	f.StringSliceVar(&c.answers.Namespaces, "namespaces", nil, "The namespaces that get the Secret. Default: all.")
	f.StringSliceVar(&c.answers.Accounts, "serviceaccounts", []string{"default"}, "The ServiceAccounts that get the Secret.")
	f.StringVar(&c.dir, "output-dir", "", "Write files into this directory instead of printing them.")
	f.BoolVar(&c.force, "force", false, "Replace files of --output-dir.")
	return cmd
}

func (c *command) run(args []string) error {
	if len(args) == 1 {
		c.answers.Image = args[0]
	} else if err := c.ask(); err != nil {
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

// ask asks on a terminal.
func (c *command) ask() error {
	if !output.IsTerminal(c.env.In) {
		return errors.New("name an image that your pods pull, such as 123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app")
	}
	lines := bufio.NewScanner(c.env.In)
	for _, question := range []struct {
		text string
		take func(string)
	}{
		{"An image that your pods pull: ", func(a string) { c.answers.Image = a }},
		{"Namespaces, separated by commas [all]: ", func(a string) {
			c.answers.Namespaces = strings.FieldsFunc(a, func(r rune) bool { return r == ',' || r == ' ' })
		}},
	} {
		fmt.Fprint(c.env.ErrOut, question.text)
		if !lines.Scan() {
			return errors.New("there was no answer")
		}
		question.take(strings.TrimSpace(lines.Text()))
	}
	return nil
}

func (c *command) write(files map[string][]byte) error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(files))
	for _, name := range names { // all or none
		path := filepath.Join(c.dir, name)
		if _, err := os.Lstat(path); err == nil && !c.force {
			return fmt.Errorf("%s is there already: --force replaces it", path)
		}
	}
	for _, name := range names {
		path := filepath.Join(c.dir, name)
		if err := output.WriteFile(path, files[name], c.force); err != nil {
			return err
		}
		fmt.Fprintln(c.env.Out, "written: "+output.Clean(path))
	}
	return nil
}
