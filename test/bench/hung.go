package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

const (
	// hungCredentials wait for the provider that hangs, more than it is asked for at once.
	hungCredentials = 100
	// besideHung is how many credentials of a healthy provider arrive, each time.
	besideHung = 40
	// inOneSecret is how many arrive that have an entry of both.
	inOneSecret = 10
)

// hungProvider measures how fast a healthy provider's Secrets come, alone and beside a provider that accepts and never answers.
func (b *bench) hungProvider(ctx context.Context) error {
	progress("%d credentials arrive", besideHung)
	alone, err := b.credentialsArrive(ctx, "alone", besideHung, false, healthy(300000000000))
	if err != nil {
		return err
	}
	progress("%d credentials arrive beside a hung provider", besideHung)
	asked := make(chan struct{})
	b.JFrog.PutInFront(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case asked <- struct{}{}:
		case <-r.Context().Done():
		}
		<-r.Context().Done()
	}))
	defer b.JFrog.PutInFront(nil)
	hang := func(int) v1alpha1.Registry {
		entry := artifactoryOf(b.JFrog.URL())
		entry.Identity = &v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: "default"}}
		return entry
	}
	if err := b.waitForHung(ctx, hang(0), asked); err != nil {
		return err
	}
	beside, err := b.credentialsArrive(ctx, "beside", besideHung, false, healthy(300000001000))
	if err != nil {
		return err
	}
	progress("%d credentials arrive that have a hung entry, too", inOneSecret)
	both, err := b.credentialsArrive(ctx, "both", inOneSecret, false, func(i int) []v1alpha1.Registry {
		return append(healthy(300000002000)(i), hang(i))
	})
	if err != nil {
		return err
	}
	s := b.report.section(fmt.Sprintf("Credential applied → Secret beside a provider that accepts and never answers, with %d credentials waiting for it: %d arrivals, 5 a second",
		hungCredentials, besideHung))
	for _, p := range []int{50, 90} {
		without, with := percentile(alone, p), percentile(beside, p)
		s.add(figure{ID: fmt.Sprintf("hung-p%d-ratio", p), Name: fmt.Sprintf("p%d, ratio to without it", p), Value: float64(with) / float64(without), Digits: 2,
			Note: fmt.Sprintf("%.1f ms with, %.1f ms without", milliseconds(with), milliseconds(without))})
	}
	s.add(figure{ID: "hung-entry-p50", Name: "p50 with a hung entry in the Secret", Value: milliseconds(percentile(both, 50)), Unit: " ms"})
	return nil
}

// healthy is an entry of ECR for an account of its own.
func healthy(first int) func(int) []v1alpha1.Registry {
	return func(i int) []v1alpha1.Registry { return []v1alpha1.Registry{ecrOf(fmt.Sprintf("%012d", first+i))} }
}

// waitForHung lets credentials ask the provider that hangs, and returns when a burst of calls is under way and the statuses say so: what
// a hundred credentials at once cost the API server is not to be charged to the hung provider.
func (b *bench) waitForHung(ctx context.Context, entry v1alpha1.Registry, asked <-chan struct{}) error {
	const name, burst = "hung", 20
	statuses, err := b.watchNamed(ctx, &v1alpha1.RegistryCredentialList{}, name)
	if err != nil {
		return err
	}
	defer statuses.stop()
	told := statuses.expect(ctx, hungCredentials, func(o client.Object) bool {
		c, ok := o.(*v1alpha1.RegistryCredential)
		return ok && c.Status.ObservedGeneration == c.Generation
	})
	err = forEach(ctx, hungCredentials, func(ctx context.Context, i int) error {
		namespace := fmt.Sprintf("%s-%03d", name, i)
		if err := b.createNamespace(ctx, namespace, name); err != nil {
			return err
		}
		c := &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		c.Spec.Registries = []v1alpha1.Registry{entry}
		return b.Client.Create(ctx, c)
	})
	if err != nil {
		return err
	}
	limit := time.NewTimer(phaseLimit)
	defer limit.Stop()
	for n := range burst {
		select {
		case <-asked:
		case <-limit.C:
			return fmt.Errorf("only %d of %d credentials have asked the provider that hangs", n, hungCredentials)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	_, err = told()
	return err
}
