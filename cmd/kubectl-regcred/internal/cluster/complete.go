package cluster

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
)

// CompleteNames completes the name of a credential.
func CompleteNames(e *cli.Env) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
		c, err := Open(e)
		namespace, nerr := e.Namespace()
		if err != nil || nerr != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		all, err := c.Credentials(cmd.Context(), namespace)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		var names []cobra.Completion
		for _, credential := range all {
			if name := credential.Ref().String(); strings.HasPrefix(name, toComplete) {
				names = append(names, name)
			} else if bare := credential.GetName(); strings.HasPrefix(bare, toComplete) {
				names = append(names, bare)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
