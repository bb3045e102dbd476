package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// Command is the command export.
func Command(e *cli.Env) *cobra.Command {
	cmd := &cobra.Command{Use: "export", Short: "Print what takes the place of a credential elsewhere", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return errors.New("say what to export to: kubelet") }}
	cmd.AddCommand(kubelet(e))
	return cmd
}

func kubelet(e *cli.Env) *cobra.Command {
	format, file := output.NewFormat(), ""
	cmd := &cobra.Command{
		Use:   "kubelet {NAME | -f FILE}",
		Short: "Print how a credential goes over to the kubelet's own credential provider plugins",
		Long: `Print how a credential goes over to the kubelet's own credential provider plugins: their configuration, the ClusterRole that they need, the
annotations of ServiceAccounts, and the entries that cannot go. For those who run their own kubelets and want no Secret at all.

Exit codes: 0 printed, 2 error.`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cluster.CompleteNames(e),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := credential(cmd.Context(), e, file, args)
			if err != nil {
				return err
			}
			k := Of(c)
			return format.Write(e.Out, k, func(w io.Writer) error { return human(w, k) })
		},
	}
	cli.BindOutput(cmd, format)
	cmd.Flags().StringVarP(&file, "filename", "f", "", "Read the credential from a file, or - for stdin. No cluster is asked.")
	return cmd
}

// credential is the one that is meant.
func credential(ctx context.Context, e *cli.Env, file string, args []string) (*cluster.Credential, error) {
	if (file == "") == (len(args) == 0) {
		return nil, errors.New("name a credential, or give -f")
	}
	if file != "" {
		found, err := cluster.CredentialsFrom(file, e)
		if err == nil && len(found) > 1 {
			err = fmt.Errorf("there are %d credentials in %s: give one", len(found), file)
		}
		if err != nil {
			return nil, err
		}
		return found[0], nil
	}
	k, err := cluster.Open(e)
	if err != nil {
		return nil, err
	}
	return k.Named(ctx, e, args[0])
}

// human writes YAML with comments, to be cut where it says so.
func human(w io.Writer, k *Kubelet) error {
	var b bytes.Buffer
	for _, s := range k.Stays {
		output.Comment(&b, "stays: "+s)
	}
	if len(k.Config.Providers) > 0 {
		output.Comment(&b, "The file of --image-credential-provider-config, on every node:")
		if err := document(&b, k.Config); err != nil {
			return err
		}
	}
	if k.Role != nil {
		b.WriteString("---\n")
		output.Comment(&b, "Kubelets may ask for tokens with the plugins' audiences. kubectl apply it:")
		if err := errors.Join(document(&b, k.Role), separate(&b), document(&b, k.Binding)); err != nil {
			return err
		}
		output.Comment(&b, "The ServiceAccounts of the pods, in each of their namespaces:")
		accounts := k.Accounts
		if len(accounts) == 0 {
			accounts = []string{"NAME"}
		}
		for _, account := range accounts {
			args := []string{"kubectl", "annotate", "serviceaccount", account, "--namespace=NAMESPACE"}
			for _, key := range slices.Sorted(maps.Keys(k.Annotations)) {
				args = append(args, key+"="+k.Annotations[key])
			}
			fmt.Fprintln(&b, "# "+output.Command(args...))
		}
	}
	for _, note := range k.Notes {
		output.Comment(&b, "note: "+note)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func document(w io.Writer, o any) error {
	raw, err := yaml.Marshal(o)
	if err != nil {
		return err
	}
	_, err = w.Write(raw)
	return err
}

func separate(w io.Writer) error {
	_, err := io.WriteString(w, "---\n")
	return err
}
