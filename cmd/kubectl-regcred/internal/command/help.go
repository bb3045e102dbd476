package command

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// about is the help of the plugin itself.
const about = `Look after the image pull credentials of a cluster. Without a command it is status: how credentials stand.

It works with your own rights and says what it could not read. It takes the flags of kubectl, too: kubectl options lists them.`

// told are the flags of kubectl that help shows. The others are taken, and would fill a page.
var told = []string{"namespace", "context", "kubeconfig"}

// shortenHelp has help fit the width of a terminal.
func shortenHelp(root *cobra.Command, e *cli.Env) {
	kubectls := pflag.NewFlagSet("kubectl", pflag.ContinueOnError)
	e.Config.AddFlags(kubectls)
	kubectls.VisitAll(func(f *pflag.Flag) { root.PersistentFlags().Lookup(f.Name).Hidden = !slices.Contains(told, f.Name) })
	cobra.AddTemplateFunc("wrapped", func(flags *pflag.FlagSet) string { return flags.FlagUsagesWrapped(output.Width) })
	cobra.AddTemplateFunc("listed", func(c *cobra.Command) string {
		return wrapped(fmt.Sprintf("  %-*s ", c.NamePadding(), c.Name()), c.Short)
	})
	root.SetUsageTemplate(strings.NewReplacer(
		".LocalFlags.FlagUsages", "wrapped .LocalFlags", ".InheritedFlags.FlagUsages", "wrapped .InheritedFlags", "  {{rpad .Name .NamePadding }} {{.Short}}", "{{listed .}}",
	).Replace(root.UsageTemplate()))
	var long func(c *cobra.Command)
	long = func(c *cobra.Command) {
		paragraphs := strings.Split(c.Long, "\n\n")
		for i, text := range paragraphs {
			paragraphs[i] = wrapped("", text)
		}
		c.Long = strings.Join(paragraphs, "\n\n")
		for _, child := range c.Commands() {
			long(child)
		}
	}
	long(root)
}

func wrapped(first, text string) string {
	var b strings.Builder
	output.Wrap(&b, first, text)
	return strings.TrimRight(b.String(), "\n")
}

// exclusive is how cobra says that flags do not go together.
var exclusive = regexp.MustCompile(`^if any flags in the group \[.*\] are set none of the others can be; \[(.*)\] were all set$`)

// plainly says it in the words of the other errors.
func plainly(message string) string {
	found := exclusive.FindStringSubmatch(message)
	if found == nil {
		return message
	}
	return "--" + strings.Join(strings.Fields(found[1]), " and --") + " do not go together"
}
