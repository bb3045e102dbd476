package refresh

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// await waits until each request is answered, or the time is over.
func (c *command) await(ctx context.Context, k *cluster.Cluster, results []Result) error {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	fmt.Fprintf(c.env.ErrOut, "waiting for the controller, for %s at most ...\n", c.timeout)
	of := cluster.Ref{Namespace: c.env.Scope()}
	if len(results) == 1 {
		of = results[0].ref()
	}
	err := k.Changes(limited, c.env.Clock, of, func() (bool, error) { return judgeAll(limited, k, of, results) })
	if limited.Err() == nil || ctx.Err() != nil {
		return err
	}
	for i := range results {
		if results[i].Outcome == Requested {
			results[i].Outcome = Unknown
		}
	}
	return nil
}

// judgeAll says whether all requests are answered.
func judgeAll(ctx context.Context, k *cluster.Cluster, of cluster.Ref, results []Result) (bool, error) {
	current, err := k.Current(ctx, of)
	if err != nil {
		return false, err
	}
	done := true
	for i := range results {
		if r := &results[i]; r.Outcome == Requested {
			o := current[r.ref()]
			if o == nil {
				return false, fmt.Errorf("%s has been deleted", r.ref().Long())
			}
			done = r.judge(o) && done
		}
	}
	return done, nil
}

func (r *Result) ref() cluster.Ref {
	return cluster.Ref{Kind: r.Kind, Namespace: r.Namespace, Name: r.Name}
}

// argument is the credential as a command takes it, in whichever namespace that is typed.
func (r *Result) argument() string {
	if r.Namespace == "" {
		return output.Shell(r.ref().String())
	}
	return output.Shell(r.ref().String()) + " -n " + output.Shell(r.Namespace)
}

// judge says whether the request is answered. Of several requests the newest is: it answers those before it.
func (r *Result) judge(o *cluster.Credential) bool {
	newest := o.GetAnnotations()[v1alpha1.AnnotationRefreshRequestedAt]
	if newest == "" || o.Status.LastHandledRefreshAt != newest {
		return false
	}
	r.Outcome = Refreshed
	if r.Failures = failures(o); len(r.Failures) > 0 {
		r.Outcome = Failed
	}
	return true
}

// failures are what a credential reports to fail.
func failures(o *cluster.Credential) []string {
	var all []string
	for _, e := range o.Status.Registries {
		if e.Reason != "" && e.Reason != v1alpha1.ReasonOverridden {
			all = append(all, fmt.Sprintf("registry %s: %s: %s", e.Name, e.Reason, e.Message))
		}
	}
	if o.Cluster != nil {
		for _, f := range o.Cluster.Failures {
			more := ""
			if n := int(f.Count) - len(f.Namespaces); n > 0 {
				more = fmt.Sprintf(" and %d more", n)
			}
			all = append(all, fmt.Sprintf("namespaces %s%s: %s: %s", strings.Join(f.Namespaces, ", "), more, f.Reason, f.Message))
		}
	}
	ready := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionReady)
	if len(all) == 0 && (ready == nil || ready.Status != "True") {
		all = append(all, "it is not Ready")
		if ready != nil {
			all[0] += ": " + ready.Reason + ": " + ready.Message
		}
	}
	return all
}

func (c *command) print(results []Result) error {
	return c.format.Write(c.env.Out, results, func(w io.Writer) error {
		if len(results) == 0 {
			fmt.Fprintln(w, "There is nothing to refresh.")
		}
		for i := range results {
			r := &results[i]
			fmt.Fprintln(w, output.Clean(r.ref().Long())+": "+c.words(r))
			for _, failure := range r.Failures {
				output.Wrap(w, "  ", failure)
			}
		}
		return nil
	})
}

func (c *command) words(r *Result) string {
	switch r.Outcome {
	case Requested:
		return "refresh requested"
	case Refreshed:
		return "refreshed"
	case Suspended:
		return "suspended, so that nothing is refreshed: kubectl regcred resume " + r.argument()
	case Unknown:
		return fmt.Sprintf("no answer after %s", c.timeout)
	default:
		return "refresh failed"
	}
}

func verdict(results []Result) error {
	has := func(o Outcome) bool {
		return slices.ContainsFunc(results, func(r Result) bool { return r.Outcome == o })
	}
	switch {
	case has(Failed), has(Suspended):
		return cli.Exit(cli.Findings)
	case has(Unknown):
		return cli.Exit(cli.TimedOut)
	default:
		return nil
	}
}
