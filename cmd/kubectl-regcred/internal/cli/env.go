// Package cli is what the commands have in common: kubectl's flags, the streams, the exit codes.
package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// Env is where a command runs.
type Env struct {
	genericiooptions.IOStreams
	Config *genericclioptions.ConfigFlags
	Clock  clock.Clock
	Getenv func(string) string
	// Version is the plugin's.
	Version string

	// AllNamespaces is -A, and ExitZero is --exit-zero.
	AllNamespaces, ExitZero bool
}

// New is the environment of a process.
func New(version string) *Env {
	return &Env{
		IOStreams: genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr},
		Config:    genericclioptions.NewConfigFlags(true),
		Clock:     clock.RealClock{}, Getenv: os.Getenv, Version: version,
	}
}

// Bind adds the flags that every command has.
func (e *Env) Bind(flags *pflag.FlagSet) {
	e.Config.AddFlags(flags)
	flags.BoolVarP(&e.AllNamespaces, "all-namespaces", "A", false, "Look at all namespaces.")
	flags.BoolVar(&e.ExitZero, "exit-zero", false, "End with exit code 0 whatever is found, for Jobs. Errors still end with 2.")
	flags.VarP(verbosity{e.ErrOut}, "v", "v", "The verbosity of the log of requests, from 0 to 7. Bodies are never logged.")
}

// BindOutput adds --output.
func BindOutput(cmd *cobra.Command, format *output.Format) {
	cmd.Flags().VarP(format, "output", "o", "Output format: one of "+fmt.Sprint(format.Allowed())+".")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(format.Allowed(), cobra.ShellCompDirectiveNoFileComp))
}

// Style is the style of what goes to stdout.
func (e *Env) Style() output.Style { return output.StyleOf(e.Out, e.Getenv) }

// Scope is the namespace to look at, empty for all of them. Without -n and -A it is all.
func (e *Env) Scope() string {
	if e.AllNamespaces {
		return ""
	}
	return *e.Config.Namespace
}

// Namespace is the namespace of the context, or that of -n.
func (e *Env) Namespace() (string, error) {
	namespace, _, err := e.Config.ToRawKubeConfigLoader().Namespace()
	return namespace, err
}

// patience is how long a command works without a word.
const patience = time.Second

// Progress says on stderr what is being done if that takes long. The function that it returns ends it.
func (e *Env) Progress(ctx context.Context, doing string) (done func()) {
	ctx, cancel := context.WithCancel(ctx)
	said := make(chan struct{})
	go func() {
		defer close(said)
		select {
		case <-ctx.Done():
		case <-e.Clock.After(patience):
			fmt.Fprintln(e.ErrOut, doing+" ...")
		}
	}()
	return func() {
		cancel()
		<-said
	}
}
