package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

const (
	// greedyNamespace is where somebody has greedyCredentials of entriesOfGreedy entries each, all of which fail.
	greedyNamespace   = "greedy"
	greedyCredentials = 100
	entriesOfGreedy   = 16
	// greedyEdit is how often one of these credentials gets other entries, which fail as well.
	greedyEdit = 100 * time.Millisecond
	// greedyAnnotation is how often the namespace's ServiceAccount gets another annotation of greedyBytes.
	greedyAnnotation = 200 * time.Millisecond
	greedyBytes      = 200 << 10

	waitingMetric = "regcred_broker_waiting_calls"
	assumeAction  = "sts:AssumeRole"
	// neighboursRole is what everybody's entries go by, so that all calls are made at one endpoint. The greedy tenant's names a role that is not there.
	neighboursRole = "arn:aws:iam::123456789012:role/neighbours"
	absentRole     = "arn:aws:iam::123456789012:role/absent"
)

// prepareGreedy creates the credentials, calm.
func (b *bench) prepareGreedy(ctx context.Context) error {
	if err := b.createNamespace(ctx, greedyNamespace, greedyNamespace); err != nil {
		return err
	}
	return forEach(ctx, greedyCredentials, func(ctx context.Context, i int) error {
		c := greedyCredential(i)
		c.Spec.Registries = calmEntries()
		return b.Client.Create(ctx, c)
	})
}

func greedyCredential(i int) *v1alpha1.RegistryCredential {
	return &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: greedyNamespace, Name: fmt.Sprintf("greedy-%03d", i)}}
}

// calmEntries need one token for all credentials together.
func calmEntries() []v1alpha1.Registry { return []v1alpha1.Registry{ecrOf("000000000000")} }

// greedyEntries are sources that were never asked for before, if edit is new.
func greedyEntries(edit string) []v1alpha1.Registry {
	entries := make([]v1alpha1.Registry, entriesOfGreedy)
	for n := range entries {
		entries[n] = ecrOf(fmt.Sprintf("%012d", n))
		entries[n].Name = fmt.Sprintf("entry-%d", n)
		entries[n].ECR.RoleARN, entries[n].ECR.ExternalID = absentRole, fmt.Sprintf("%s-%d", edit, n)
	}
	return entries
}

// calmGreedy has the greedy tenant's credentials name what they have a token for, so that no call is made or waits any more.
func (b *bench) calmGreedy(ctx context.Context) error {
	return forEach(ctx, greedyCredentials, func(ctx context.Context, i int) error {
		return b.editGreedy(ctx, i, calmEntries())
	})
}

// editGreedy changes one of the greedy tenant's credentials.
func (b *bench) editGreedy(ctx context.Context, i int, entries []v1alpha1.Registry) error {
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"registries": entries}})
	if err != nil {
		return err
	}
	return b.Client.Patch(ctx, greedyCredential(i), client.RawPatch(types.MergePatchType, patch))
}

// abuse has the greedy tenant do its worst until it is stopped: entries that fail without end, edits of them, and large annotations. It
// returns when its calls wait for their turn, and stop does when none waits any more.
func (b *bench) abuse(ctx context.Context, round int) (stop func() error, err error) {
	edit := func(ctx context.Context, n int) error {
		return b.editGreedy(ctx, n%greedyCredentials, greedyEntries(fmt.Sprintf("edit-%d-%d", round, n)))
	}
	if err := forEach(ctx, greedyCredentials, edit); err != nil {
		return nil, err
	}
	worst, cancel := context.WithCancel(ctx)
	var group errgroup.Group
	group.Go(func() error {
		return every(worst, greedyEdit, func(n int) error { return edit(worst, greedyCredentials+n) })
	})
	group.Go(func() error {
		return every(worst, greedyAnnotation, func(n int) error { return b.annotateGreedy(worst, n) })
	})
	stop = func() error {
		cancel()
		return errors.Join(group.Wait(), b.calmGreedy(ctx), b.awaitMetric(ctx, waitingMetric, func(n float64) bool { return n == 0 }))
	}
	if err := b.awaitMetric(ctx, waitingMetric, func(n float64) bool { return n >= greedyCredentials }); err != nil {
		return nil, errors.Join(err, stop())
	}
	return stop, nil
}

func (b *bench) annotateGreedy(ctx context.Context, n int) error {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: greedyNamespace, Name: "default"}}
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"large":"%d %s"}}}`, n, strings.Repeat("x", greedyBytes))
	return b.Client.Patch(ctx, account, client.RawPatch(types.MergePatchType, patch))
}

// every calls do with 0, 1 and so on, once in each period, until ctx ends.
func every(ctx context.Context, period time.Duration, do func(int) error) error {
	ticks := time.NewTicker(period)
	defer ticks.Stop()
	for n := 0; ; n++ {
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return nil
		}
		if err := do(n); err != nil && ctx.Err() == nil {
			return err
		}
	}
}
