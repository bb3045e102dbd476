package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

const linkedName = "linked"

// links fans out a second credential that also links every default ServiceAccount. A bare client makes the same writes just before.
func (b *bench) links(ctx context.Context, raw *ceiling) error {
	const name = linkedName
	rawTook, rawEffort, err := raw.measureLinks(ctx)
	if err != nil {
		return err
	}
	if err := observe(ctx, trailing); err != nil {
		return err
	}
	progress("second fan-out, with links")
	secrets, err := b.watchNamed(ctx, secretsMetadata(), name)
	if err != nil {
		return err
	}
	defer secrets.stop()
	accounts, err := b.watchNamed(ctx, &corev1.ServiceAccountList{}, "default")
	if err != nil {
		return err
	}
	defer accounts.stop()
	all := accounts.expect(ctx, b.namespaces, links(name))
	start := time.Now()
	p, err := b.burst(ctx, secrets, anything, func() error {
		return b.Client.Create(ctx, clusterCredential(name, "fan-out", &v1alpha1.ServiceAccounts{Names: []string{"default"}}))
	})
	if err != nil {
		return fmt.Errorf("second fan-out: %w", err)
	}
	linked, err := all()
	if err != nil {
		return fmt.Errorf("links of the second fan-out: %w", err)
	}
	p.took = max(p.took, linked.last().Sub(start))
	s := b.report.section("Second fan-out, with links: one Secret and one ServiceAccount in each namespace")
	s.add(figure{ID: "links", Name: "writes", Value: p.rate(2 * b.namespaces), Unit: "/s", Note: "in " + p.took.Round(time.Millisecond).String()})
	s.add(figure{ID: "links-ratio", Name: "ratio to raw writes", Digits: 2, Target: atLeast(0.9), Note: "a create and a patch each",
		Value: float64(rawTook) * float64(b.namespaces) / float64(p.took)})
	s.add(figure{ID: "links-effort-ratio", Name: "the same by processor time", Value: float64(rawEffort) / float64(p.effort), Digits: 2})
	s.add(figure{ID: "links-calls", Name: "cloud calls", Value: float64(p.calls), Target: atMost(1)})
	s.list("requests of the controller", p.requests)
	return nil
}

// links recognises the ServiceAccounts that name the Secret.
func links(secret string) func(client.Object) bool {
	return func(o client.Object) bool {
		sa, ok := o.(*corev1.ServiceAccount)
		return ok && len(sa.ImagePullSecrets) > 0 && sa.ImagePullSecrets[len(sa.ImagePullSecrets)-1].Name == secret
	}
}
