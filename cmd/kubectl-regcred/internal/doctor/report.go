// Package doctor looks at how Regcred is installed and at whether it works. It creates nothing.
package doctor

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/check"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
)

// Report is what the command prints.
type Report struct {
	Checks check.Checks `json:"checks"`
}

func (d *doctor) add(name string, state check.State, format string, args ...any) {
	d.report.Checks.Add(name, state, format, args...)
}

// unread tells of what could not be looked at.
func (d *doctor) unread(name, resource, verb string) {
	d.add(name, check.Unknown, "not checked (needs the right to %s %s)", verb, resource)
}

// each calls fn with each object of a list. Where the caller may not list it, that is told under the name of the check, and read is false.
func each[T client.Object](ctx context.Context, d *doctor, name string, list client.ObjectList, namespace string, fn func(T), options ...client.ListOption) (read bool, err error) {
	read, err = cluster.Each(ctx, d.k, list, namespace, func(o T) error {
		fn(o)
		return nil
	}, options...)
	if err == nil && !read {
		d.unread(name, cluster.ResourceOf(list), "list")
	}
	return read, err
}
