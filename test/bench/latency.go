package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/lab"
)

const (
	// arrivalPeriod makes five arrivals a second.
	arrivalPeriod = 200 * time.Millisecond
	// cloudLatency is what a call takes while credentials arrive.
	cloudLatency = 20 * time.Millisecond
)

// credentialLatency measures from just before a RegistryCredential is applied to its Secret. Each names an account of its own, so that no
// two share a token and each costs one call.
func (b *bench) credentialLatency(ctx context.Context) error {
	progress("%d credentials arrive", b.arrivals)
	b.AWS.ResetCalls()
	b.AWS.ECR.Set(cloud.Fault{Latency: cloudLatency})
	defer b.AWS.ECR.Reset()
	took, err := b.credentialsArrive(ctx, "arrival", b.arrivals, false, func(i int) []v1alpha1.Registry {
		return []v1alpha1.Registry{ecrOf(fmt.Sprintf("%012d", 200000000000+i))}
	})
	if err != nil {
		return err
	}
	s := b.report.section(fmt.Sprintf("Credential applied → Secret seen by a watch, beyond the cloud's %s: %d arrivals, 5 a second", cloudLatency, b.arrivals))
	s.add(figure{ID: "credential-p50", Name: "p50", Value: milliseconds(percentile(took, 50) - cloudLatency), Unit: " ms", Digits: 1, Target: atMost(12)})
	s.add(figure{ID: "credential-p99", Name: "p99", Value: milliseconds(percentile(took, 99) - cloudLatency), Unit: " ms", Digits: 1, Target: atMost(30)})
	s.add(figure{ID: "credential-calls", Name: "cloud calls", Value: float64(b.AWS.Calls().Of(mintAction)), Target: exactly(float64(b.arrivals))})
	return nil
}

// credentialsArrive applies n RegistryCredentials of this name, each in a namespace of its own, and says how long their Secrets took,
// shortest first. Suspended ones are somebody else's work.
func (b *bench) credentialsArrive(ctx context.Context, name string, n int, suspended bool, registries func(int) []v1alpha1.Registry) ([]time.Duration, error) {
	namespace := func(i int) string { return fmt.Sprintf("%s-%03d", name, i) }
	if err := forEach(ctx, n, func(ctx context.Context, i int) error { return b.createNamespace(ctx, namespace(i), name) }); err != nil {
		return nil, err
	}
	secrets, err := b.watchNamed(ctx, secretsMetadata(), name)
	if err != nil {
		return nil, err
	}
	defer secrets.stop()
	b.mixed = append(b.mixed, lab.Span{From: time.Now()})
	defer func() { b.mixed[len(b.mixed)-1].To = time.Now() }()
	all := secrets.expect(ctx, n, anything)
	began, err := arrive(ctx, n, namespace, func(namespace string, i int) error {
		c := &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		c.Spec.Registries, c.Spec.Suspend = registries(i), suspended
		return b.Client.Create(ctx, c)
	})
	if err != nil {
		return nil, err
	}
	seen, err := all()
	if err != nil {
		return nil, fmt.Errorf("credentials that arrive: %w", err)
	}
	return between(began, seen), nil
}

// namespaceLatency measures from just before a namespace is created to its Secret and its link, with the token in memory.
func (b *bench) namespaceLatency(ctx context.Context) error {
	progress("%d namespaces arrive", b.arrivals)
	began, published, linked, err := b.namespacesArrive(ctx, "newcomer", b.arrivals)
	if err != nil {
		return err
	}
	took := between(began, published, linked)
	s := b.report.section(fmt.Sprintf("Namespace created → Secret and link seen by a watch: %d arrivals, 5 a second", b.arrivals))
	s.add(figure{ID: "namespace-p50", Name: "p50", Value: milliseconds(percentile(took, 50)), Unit: " ms", Digits: 1, Target: atMost(20),
		Note: fmt.Sprintf("Secret %.1f, link %.1f", milliseconds(percentile(between(began, published), 50)), milliseconds(percentile(between(began, linked), 50)))})
	s.add(figure{ID: "namespace-p99", Name: "p99", Value: milliseconds(percentile(took, 99)), Unit: " ms", Digits: 1, Target: atMost(60)})
	return nil
}

// namespacesArrive creates a credential of this name for the namespaces of the group of this name, brings its token into memory, and lets n
// such namespaces arrive.
func (b *bench) namespacesArrive(ctx context.Context, name string, n int) (began, published, linked sightings, err error) {
	secrets, err := b.watchNamed(ctx, secretsMetadata(), name)
	if err != nil {
		return nil, nil, nil, err
	}
	defer secrets.stop()
	if err := b.Client.Create(ctx, clusterCredential(name, name, &v1alpha1.ServiceAccounts{Names: []string{"default"}})); err != nil {
		return nil, nil, nil, err
	}
	stop, err := b.follow(ctx, name)
	if err != nil {
		return nil, nil, nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	one := secrets.expect(ctx, 1, anything)
	if err := b.Client.Create(ctx, namespaceOf(name+"-first", name)); err != nil {
		return nil, nil, nil, err
	}
	if _, err := one(); err != nil {
		return nil, nil, nil, err
	}
	return b.newNamespaces(ctx, secrets, name, name, n)
}

// newNamespaces creates n namespaces of the group, and says when each began, and had its Secret and its link of this name.
func (b *bench) newNamespaces(ctx context.Context, secrets *eyes, name, group string, n int) (began, published, linked sightings, err error) {
	accounts, err := b.watchNamed(ctx, &corev1.ServiceAccountList{}, "default")
	if err != nil {
		return nil, nil, nil, err
	}
	defer accounts.stop()
	namespace := func(i int) string { return fmt.Sprintf("%s-%03d", group, i) }
	later := func(o client.Object) bool { return o.GetNamespace() != group+"-first" }
	allSecrets := secrets.expect(ctx, n, later)
	allLinks := accounts.expect(ctx, n, func(o client.Object) bool { return later(o) && links(name)(o) })
	began, err = arrive(ctx, n, namespace, func(namespace string, _ int) error { return b.Client.Create(ctx, namespaceOf(namespace, group)) })
	if err != nil {
		return nil, nil, nil, err
	}
	if published, err = allSecrets(); err != nil {
		return nil, nil, nil, fmt.Errorf("a Secret in each namespace that arrives: %w", err)
	}
	if linked, err = allLinks(); err != nil {
		return nil, nil, nil, fmt.Errorf("a link in each namespace that arrives: %w", err)
	}
	return began, published, linked, nil
}

// follow gives every namespace of the group its default ServiceAccount as soon as a watch shows it, as kube-controller-manager does. Sooner,
// the API server itself might not know the namespace yet, and then sleeps for 50 ms before it looks again.
func (b *bench) follow(ctx context.Context, group string) (stop func() error, err error) {
	return b.answer(ctx, namespacesMetadata(), client.MatchingLabels{groupLabel: group}, func(o client.Object) error {
		return b.Client.Create(ctx, defaultAccount(o.GetName()))
	})
}

// arrive lets one thing after the other come, and says when each began to.
func arrive(ctx context.Context, n int, namespace func(int) string, come func(namespace string, i int) error) (sightings, error) {
	began := make(sightings, n)
	period := time.NewTicker(arrivalPeriod)
	defer period.Stop()
	for i := range n {
		select {
		case <-period.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		began[namespace(i)] = time.Now()
		if err := come(namespace(i), i); err != nil {
			return nil, err
		}
	}
	return began, nil
}

// between is how long after its beginning each namespace had shown all that was waited for, shortest first.
func between(began sightings, ends ...sightings) []time.Duration {
	var took []time.Duration
	for namespace, start := range began {
		var longest time.Duration
		for _, end := range ends {
			longest = max(longest, end[namespace].Sub(start))
		}
		took = append(took, longest)
	}
	slices.Sort(took)
	return took
}

// percentile is the nearest rank of sorted durations.
func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
