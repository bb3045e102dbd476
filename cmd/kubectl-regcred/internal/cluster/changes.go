package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

// quiet is how long changes are gathered before they are told.
const quiet = 200 * time.Millisecond

// Changes calls changed at once, and again whenever a credential changes, until it is done, it fails, or ctx ends. The credentials are those
// of the kind and the namespace of the reference; without a kind, of both kinds.
func (c *Cluster) Changes(ctx context.Context, system clock.Clock, of Ref, changed func() (done bool, err error)) error {
	for {
		done, err := c.watchOnce(ctx, system, of, changed)
		if done || err != nil {
			return err
		}
	}
}

// watchOnce returns without a word when the API server ends a watch.
func (c *Cluster) watchOnce(ctx context.Context, system clock.Clock, of Ref, changed func() (bool, error)) (done bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var watches sync.WaitGroup
	defer watches.Wait()
	defer cancel()
	events, ended := make(chan struct{}, 1), make(chan struct{}, 1)
	open, err := c.open(ctx, of)
	if err != nil {
		return false, err
	}
	for _, w := range open {
		watches.Go(func() { forward(ctx, w, events, ended) })
	}
	for {
		if done, err := changed(); done || err != nil {
			return done, err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-ended:
			return false, nil
		case <-events:
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-system.After(quiet):
		}
	}
}

// open begins the watches that the caller may have.
func (c *Cluster) open(ctx context.Context, of Ref) ([]watch.Interface, error) {
	var open []watch.Interface
	var refused error
	for kind, list := range map[string]client.ObjectList{
		v1alpha1.KindRegistryCredential: &v1alpha1.RegistryCredentialList{}, v1alpha1.KindClusterRegistryCredential: &v1alpha1.ClusterRegistryCredentialList{},
	} {
		namespace := of.Namespace
		switch {
		case of.Kind != "" && of.Kind != kind:
			continue
		case kind == v1alpha1.KindClusterRegistryCredential:
			namespace = ""
		}
		w, err := c.Watch(ctx, list, client.InNamespace(namespace))
		switch {
		case err == nil:
			open = append(open, w)
		case apierrors.IsForbidden(err):
			refused = err
		default:
			return nil, fmt.Errorf("watching credentials: %w", err)
		}
	}
	if len(open) == 0 {
		return nil, fmt.Errorf("watching credentials: %w", refused)
	}
	return open, nil
}

// forward tells of events, as often as somebody listens, and of the end of the watch.
func forward(ctx context.Context, w watch.Interface, events, ended chan<- struct{}) {
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case _, open := <-w.ResultChan():
			told := events
			if !open {
				told = ended
			}
			select {
			case told <- struct{}{}:
			default:
			}
			if !open {
				return
			}
		}
	}
}
