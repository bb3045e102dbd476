// Package command joins the commands of the plugin.
package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/access"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/audit"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/doctor"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/edit"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/export"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/initialize"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/migrate"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/refresh"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/status"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/why"
)

// Root is the plugin. Without a command it is status.
func Root(e *cli.Env) *cobra.Command {
	root := status.Command(e)
	root.Use, root.Short, root.Long = "kubectl-regcred [NAME]", "Look after the image pull credentials of a cluster", about
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl regcred"}
	root.SilenceErrors, root.SilenceUsage = true, true
	root.Version = e.Version
	root.SetIn(e.In)
	root.SetOut(e.Out)
	root.SetErr(e.ErrOut)
	e.Bind(root.PersistentFlags())
	root.AddCommand(status.Command(e), why.Command(e), audit.Command(e), doctor.Command(e), access.Command(e), migrate.Command(e), export.Command(e), initialize.Command(e), refresh.Command(e), edit.Suspend(e), edit.Resume(e), edit.Override(e))
	root.SuggestionsMinimumDistance = 2
	root.RunE = orCommand(root, root.RunE)
	shortenHelp(root, e)
	return root
}

// orCommand adds to what is said of a name that no credential has the command that may be meant.
func orCommand(root *cobra.Command, run func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		err := run(cmd, args)
		if _, ended := errors.AsType[cli.Exit](err); err == nil || ended || len(args) == 0 {
			return err
		}
		if near := root.SuggestionsFor(args[0]); len(near) > 0 {
			return fmt.Errorf("%w; if a command is meant: kubectl regcred %s", err, strings.Join(near, " or kubectl regcred "))
		}
		return err
	}
}

// Run runs the plugin and returns its exit code.
func Run(ctx context.Context, e *cli.Env, args []string) int {
	log.SetLogger(logr.Discard()) // else it complains of itself on stderr after half a minute
	root := Root(e)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if ctx.Err() != nil {
		return cli.Interrupted
	}
	code := codeOf(err)
	if err := words(err); err != nil {
		fmt.Fprintln(e.ErrOut, "error: "+output.Clean(plainly(cluster.Explain(err))))
	}
	if e.ExitZero && code != cli.Failure {
		return cli.Fine
	}
	return code
}

// codeOf is the exit code of what a command has returned.
func codeOf(err error) int {
	exit, ended := errors.AsType[cli.Exit](err)
	_, unread := errors.AsType[cli.Unread](err)
	switch {
	case err == nil:
		return cli.Fine
	case unread:
		return cli.Undecided
	case ended && words(err) == nil:
		return int(exit)
	default:
		return cli.Failure
	}
}

// words is the error without the exit codes in it; nil if nothing else is in it.
func words(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var left []error
		for _, part := range joined.Unwrap() {
			left = append(left, words(part))
		}
		return errors.Join(left...)
	}
	if _, exit := errors.AsType[cli.Exit](err); exit {
		return nil
	}
	return err
}
