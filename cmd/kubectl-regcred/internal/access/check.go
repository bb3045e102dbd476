package access

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"time"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/check"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// question is one that a command line of a cloud answers. No value of a credential is an argument of its own, or begins as the command
// lines would take for the name of a file.
type question struct {
	what  string
	args  []string
	judge func(stdout []byte) (check.State, string)
	// unasked is why it cannot be asked; empty if it can.
	unasked string
}

// answerIn is how long a command line may take.
const answerIn = 30 * time.Second

// check asks the clouds by the command lines that the caller has, and with the caller's own rights. Each command is shown before it is run.
func (c *command) check(ctx context.Context, e *entry) check.Checks {
	checks := check.Checks{}
	for _, q := range e.questions() {
		checks = append(checks, c.ask(ctx, q))
	}
	return checks
}

func (c *command) ask(ctx context.Context, q question) check.Check {
	done := check.Check{Name: q.what, State: check.Unknown, Text: q.unasked}
	if q.unasked != "" {
		return done
	}
	done.Command = output.Command(q.args...)
	program, err := exec.LookPath(q.args[0])
	if err != nil {
		done.Text = "not asked: " + q.args[0] + " is not on the PATH"
		return done
	}
	fmt.Fprintln(c.env.ErrOut, "+ "+done.Command)
	ctx, cancel := context.WithTimeout(ctx, answerIn)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, q.args[1:]...).Output() //nolint:gosec // one of three programs, with values of known forms
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		// What it says may hold what a cloud has answered: the caller can see that by running it.
		done.Text = fmt.Sprintf("%s ended with exit code %d: run the command to see why", q.args[0], exit.ExitCode())
	case err != nil:
		done.Text = err.Error()
	default:
		done.State, done.Text = q.judge(out)
	}
	return done
}

func writeChecks(w io.Writer, style output.Style, all []Access) {
	for _, a := range all {
		ref := cluster.Ref{Kind: a.Kind, Namespace: a.Namespace, Name: a.Name}
		fmt.Fprintln(w, output.Clean(ref.Long()))
		for _, e := range a.Entries {
			var checks check.Checks
			for _, c := range e.Checks {
				checks.Add(e.Name, c.State, "%s: %s", c.Name, c.Text)
			}
			checks.Write(w, style, "  ")
		}
	}
}

// has says whether a check has ended so.
func has(all []Access, state check.State) bool {
	return slices.ContainsFunc(all, func(a Access) bool {
		return slices.ContainsFunc(a.Entries, func(e Entry) bool { return e.Checks.Has(state) })
	})
}
