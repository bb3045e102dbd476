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

// links fans out a second credential that also links every default ServiceAccount.
func (b *bench) links(ctx context.Context, raw *ceiling) error {
	const name = linkedName
	ceiling, err := raw.measure(ctx)
	if err != nil {
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
	if took := linked.last().Sub(start); took > p.took {
		p.took = took
	}
	writes := p.rate(2 * b.namespaces)
	s := b.report.section("Second fan-out, with links: one Secret and one ServiceAccount in each namespace")
	s.add(figure{ID: "links", Name: "writes", Value: writes, Unit: "/s", Note: "in " + p.took.Round(time.Millisecond).String()})
	s.add(figure{ID: "links-put-ratio", Name: "ratio to raw PUT", Value: writes / ceiling.update, Digits: 2})
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
