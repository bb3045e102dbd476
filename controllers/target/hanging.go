package target

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/internal/expiring"
	"github.com/regcred/regcred/internal/inflight"
)

const (
	// hangsAfter is how long a change takes that fails in the end, if what it fails of is a webhook that does not answer.
	hangsAfter = 5 * time.Second
	// hangsFor is how long after such a change a namespace is known for it. hangingAtOnce changes are made at a time in all such namespaces: half
	// of the workers are left to the others. One is in each.
	hangsFor      = 5 * time.Minute
	hangingAtOnce = 16
)

var errHangs = fmt.Errorf("a change in the namespace hangs already: %w", context.DeadlineExceeded)

// wary is a Client that holds few workers in namespaces where changes hang, as they do behind a tenant's webhook that does not answer. What it
// does not try fails as if it had been.
type wary struct {
	client.Client
	clock  clock.PassiveClock
	known  *expiring.Map[string, struct{}]
	places *inflight.Budget
	// answered counts the changes that were made: while none is, it is not the namespaces' fault.
	answered atomic.Int64
}

func newWary(c client.Client, now clock.PassiveClock) *wary {
	return &wary{Client: c, clock: now, known: expiring.New[string, struct{}](now, hangsFor, maxNamespaces), places: inflight.New(hangingAtOnce, 1)}
}

func (w *wary) Create(ctx context.Context, o client.Object, opts ...client.CreateOption) error {
	return w.change(o, func() error { return w.Client.Create(ctx, o, opts...) })
}

func (w *wary) Update(ctx context.Context, o client.Object, opts ...client.UpdateOption) error {
	return w.change(o, func() error { return w.Client.Update(ctx, o, opts...) })
}

func (w *wary) Patch(ctx context.Context, o client.Object, patch client.Patch, opts ...client.PatchOption) error {
	return w.change(o, func() error { return w.Client.Patch(ctx, o, patch, opts...) })
}

func (w *wary) Delete(ctx context.Context, o client.Object, opts ...client.DeleteOption) error {
	return w.change(o, func() error { return w.Client.Delete(ctx, o, opts...) })
}

func (w *wary) change(o client.Object, change func() error) error {
	namespace := o.GetNamespace()
	if _, hangs := w.known.Get(namespace); hangs {
		release, ok := w.places.Try(namespace, 1)
		if !ok {
			return errHangs
		}
		defer release()
	}
	began, answered := w.clock.Now(), w.answered.Load()
	err := change()
	switch {
	case err == nil:
		w.answered.Add(1)
	case w.clock.Since(began) >= hangsAfter && w.answered.Load() > answered:
		w.known.Put(namespace, struct{}{})
	}
	return err
}
