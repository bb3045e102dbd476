package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/lab"
)

const (
	// registriesAnnotation is where Regcred records on a Secret what is in it.
	registriesAnnotation = "regcred.dev/registries"
	// trailing is how long the controller is given after a phase to do what nobody waits for, before what it used is read.
	trailing = 3 * time.Second
	// floor is how long after a token was minted another is minted on request, and a second more.
	floor = time.Minute + time.Second
)

// served is what came of all rounds.
type served struct {
	idle   lab.Usage
	rounds []round
}

func (s served) last() round { return s.rounds[len(s.rounds)-1] }

// round is one fan-out of a new credential, and one rotation of it.
type round struct {
	credential       string
	fanOut, rotation phase
}

// phase is one burst of writes.
type phase struct {
	took  time.Duration
	calls int
	// cpu is the controller's processor time, effort that of all processes, for one write.
	cpu, effort time.Duration
	after       lab.Usage
	// raw is the ceiling measured just before and just after, because the machine drifts.
	raw rates
	// requests are the controller's own, from the API server's audit log.
	requests tally
}

func (p phase) rate(writes int) float64 { return float64(writes) / p.took.Seconds() }

// serve starts the controller, and lets it fan out and rotate. Without a ceiling, nothing is compared.
func (b *bench) serve(ctx context.Context, raw *ceiling) (s served, err error) {
	if _, err = b.startController(ctx); err != nil {
		return s, err
	}
	if s.idle, err = b.usageAfter(ctx); err != nil {
		return s, err
	}
	if err := b.profileHeap(ctx, "idle"); err != nil {
		return s, err
	}
	for i := range b.rounds {
		if i > 0 {
			if err := b.clear(ctx, s.last().credential); err != nil {
				return s, err
			}
		}
		r, err := b.round(ctx, fmt.Sprintf("bench-%d", i+1), raw)
		if err != nil {
			return s, err
		}
		s.rounds = append(s.rounds, r)
	}
	return s, nil
}

func (b *bench) round(ctx context.Context, name string, raw *ceiling) (r round, err error) {
	r = round{credential: name}
	watch, err := b.watchNamed(ctx, secretsMetadata(), name)
	if err != nil {
		return r, err
	}
	defer watch.stop()
	credential := clusterCredential(name, "fan-out", nil)
	var before, between, after rates
	if raw != nil {
		if before, err = raw.measure(ctx); err != nil {
			return r, err
		}
	}
	progress("%s: fan-out", name)
	applied := time.Now()
	err = b.profileDuring(ctx, "fan-out", func() (err error) {
		r.fanOut, err = b.burst(ctx, watch, anything, func() error { return b.Client.Create(ctx, credential) })
		return err
	})
	if err != nil {
		return r, fmt.Errorf("fan-out of %s: %w", name, err)
	}
	if raw != nil {
		if between, err = raw.measure(ctx); err != nil {
			return r, err
		}
	}
	if err := observe(ctx, time.Until(applied.Add(floor))); err != nil {
		return r, err
	}
	progress("%s: rotation", name)
	rotated, err := b.rotated(ctx, name)
	if err != nil {
		return r, err
	}
	err = b.profileDuring(ctx, "rotation", func() (err error) {
		r.rotation, err = b.burst(ctx, watch, rotated, func() error { return b.requestRefresh(ctx, credential) })
		return err
	})
	if err != nil {
		return r, fmt.Errorf("rotation of %s: %w", name, err)
	}
	if raw != nil {
		after, err = raw.measure(ctx)
	}
	r.fanOut.raw, r.rotation.raw = meanOf(before, between), meanOf(between, after)
	return r, err
}

func meanOf(a, b rates) rates {
	return rates{create: (a.create + b.create) / 2, update: (a.update + b.update) / 2, effort: (a.effort + b.effort) / 2}
}

// clear deletes a credential and, as the garbage collector would, its Secrets.
func (b *bench) clear(ctx context.Context, name string) error {
	c := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := b.Client.Delete(ctx, c); err != nil {
		return err
	}
	err := forEach(ctx, b.namespaces, func(ctx context.Context, i int) error {
		return b.Client.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespaceName(i), Name: name}})
	})
	if err != nil {
		return err
	}
	return observe(ctx, trailing)
}

// rotated recognises the Secrets whose record is another than now.
func (b *bench) rotated(ctx context.Context, name string) (func(client.Object) bool, error) {
	secrets := secretsMetadata()
	if err := b.Client.List(ctx, secrets, client.MatchingFields{metav1.ObjectNameField: name}); err != nil {
		return nil, err
	}
	before := map[string]string{}
	for i := range secrets.Items {
		before[secrets.Items[i].Namespace] = secrets.Items[i].Annotations[registriesAnnotation]
	}
	return func(o client.Object) bool {
		return o.GetAnnotations()[registriesAnnotation] != before[o.GetNamespace()]
	}, nil
}

// burst measures from just before trigger to when the watch has seen every namespace's Secret.
func (b *bench) burst(ctx context.Context, watch *eyes, satisfies func(client.Object) bool, trigger func() error) (p phase, err error) {
	before, err := b.controller.Usage()
	if err != nil {
		return p, err
	}
	b.AWS.ResetCalls()
	all := watch.expect(ctx, b.namespaces, satisfies)
	used, start := processorTime(), time.Now()
	if err := trigger(); err != nil {
		return p, err
	}
	seen, err := all()
	if err != nil {
		return p, err
	}
	p.effort = (processorTime() - used) / time.Duration(b.namespaces)
	p.took = seen.last().Sub(start)
	if p.after, err = b.usageAfter(ctx); err != nil {
		return p, err
	}
	p.cpu, p.calls = p.after.CPU-before.CPU, b.AWS.Calls().Of(mintAction)
	p.requests, err = b.requestsBetween(start, time.Now())
	return p, err
}

func (b *bench) usageAfter(ctx context.Context) (lab.Usage, error) {
	if err := observe(ctx, trailing); err != nil {
		return lab.Usage{}, err
	}
	return b.controller.Usage()
}
