package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

const (
	// greedyNamespace is where somebody has greedyCredentials of 16 entries each, all of which fail and are tried again.
	greedyNamespace   = "greedy"
	greedyCredentials = 100
)

// neighbour measures how long credentials take that arrive beside a tenant whose entries all fail at the same endpoint, and how long without.
func (b *bench) neighbour(ctx context.Context) error {
	calm, err := b.arriveAs(ctx, "calm")
	if err != nil {
		return err
	}
	progress("a tenant asks for %d entries that fail", 16*greedyCredentials)
	if err := b.createNamespace(ctx, greedyNamespace, greedyNamespace); err != nil {
		return err
	}
	if err := b.beGreedy(ctx); err != nil {
		return err
	}
	beside, err := b.arriveAs(ctx, "beside")
	if err != nil {
		return err
	}
	s := b.report.section(fmt.Sprintf("Credentials that arrive beside a tenant with %d entries that fail at the same endpoint", 16*greedyCredentials))
	s.add(figure{ID: "neighbour-p99-calm", Name: "p99 without", Value: milliseconds(calm), Unit: " ms", Digits: 1})
	s.add(figure{ID: "neighbour-p99", Name: "p99 beside", Value: milliseconds(beside), Unit: " ms", Digits: 1})
	s.add(figure{ID: "neighbour-ratio", Name: "ratio", Value: float64(beside) / float64(calm), Digits: 2})
	return b.Client.DeleteAllOf(ctx, &v1alpha1.RegistryCredential{}, client.InNamespace(greedyNamespace))
}

// arriveAs is the p99 of credentials of that name, with the latency of a cloud in it.
func (b *bench) arriveAs(ctx context.Context, name string) (time.Duration, error) {
	progress("%d credentials arrive, %s", b.arrivals, name)
	b.AWS.ECR.Set(cloud.Fault{Latency: cloudLatency})
	defer b.AWS.ECR.Reset()
	base := map[string]int{"calm": 300000000000, "beside": 400000000000}[name]
	took, err := b.credentialsArrive(ctx, name, b.arrivals, func(i int) []v1alpha1.Registry {
		return []v1alpha1.Registry{ecrOf(fmt.Sprintf("%012d", base+i))}
	})
	if err != nil {
		return 0, err
	}
	return percentile(took, 99), nil
}

// beGreedy creates credentials with an access key that nobody knows, each entry with an external ID of its own.
func (b *bench) beGreedy(ctx context.Context) error {
	key := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: greedyNamespace, Name: "key", Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}},
		StringData: map[string]string{"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI"},
	}
	if err := b.Client.Create(ctx, key); err != nil {
		return err
	}
	return forEach(ctx, greedyCredentials, func(ctx context.Context, i int) error {
		c := &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: greedyNamespace, Name: fmt.Sprintf("greedy-%03d", i)}}
		for n := range 16 {
			entry := ecrOf(fmt.Sprintf("%012d", 16*i+n))
			entry.Name, entry.Identity = fmt.Sprintf("entry-%d", n), &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: "key"}}
			entry.ECR.RoleARN, entry.ECR.ExternalID = "arn:aws:iam::123456789012:role/absent", fmt.Sprintf("external-%d", 16*i+n)
			c.Spec.Registries = append(c.Spec.Registries, entry)
		}
		return b.Client.Create(ctx, c)
	})
}

func (b *bench) neighbourOnly(ctx context.Context) error {
	if _, err := b.startController(ctx); err != nil {
		return err
	}
	return b.neighbour(ctx)
}
