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
	// sharers are the credentials of one identity.
	sharers = 1000
	// racers are the targets that need the same token at the same moment, while the cloud takes raceLatency to answer.
	racers      = 64
	raceLatency = 2 * time.Second
)

// callsOnly counts what is asked of the cloud where many need the same.
func (b *bench) callsOnly(ctx context.Context) error {
	if err := b.prepareNamespaces(ctx); err != nil {
		return err
	}
	if _, err := b.startController(ctx); err != nil {
		return err
	}
	s := b.report.section("Cloud calls")
	for _, c := range []struct {
		id, name string
		count    func(context.Context) error
		want     target
	}{
		{"calls-identity", fmt.Sprintf("for %d credentials of one identity", sharers), b.shareIdentity, exactly(1)},
		{"calls-race", fmt.Sprintf("for %d targets at once", racers), b.race, exactly(1)},
		{"calls-failover", fmt.Sprintf("for %d namespaces, with a failover", b.namespaces), b.failover, atMost(2)},
	} {
		b.AWS.ResetCalls()
		if err := c.count(ctx); err != nil {
			return fmt.Errorf("cloud calls %s: %w", c.name, err)
		}
		s.add(figure{ID: c.id, Name: c.name, Value: float64(b.AWS.Calls().Of(mintAction)), Target: c.want})
	}
	return nil
}

// shareIdentity creates credentials of one namespace that name the same access key and ask for the same.
func (b *bench) shareIdentity(ctx context.Context) error {
	const name = "sharers"
	progress("%d credentials share an identity", sharers)
	user := cloud.User{Account: cloud.DefaultAccount, Name: name, AccessKeyID: "AKIAIOSFODNN7SHARERS", SecretAccessKey: "wJalrXUtnFEMI", MayGetToken: true, Pull: []string{"*"}}
	b.AWS.AddUser(user)
	if err := b.createNamespace(ctx, name, name); err != nil {
		return err
	}
	key := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "key", Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}},
		StringData: map[string]string{"AWS_ACCESS_KEY_ID": user.AccessKeyID, "AWS_SECRET_ACCESS_KEY": user.SecretAccessKey},
	}
	if err := b.Client.Create(ctx, key); err != nil {
		return err
	}
	err := forEach(ctx, sharers, func(ctx context.Context, i int) error {
		c := &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: fmt.Sprintf("sharer-%04d", i)}}
		entry := ecrOf(cloud.DefaultAccount)
		entry.Identity = &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: key.Name}}
		c.Spec.Registries = []v1alpha1.Registry{entry}
		return b.Client.Create(ctx, c)
	})
	if err != nil {
		return err
	}
	return b.awaitSecrets(ctx, name, sharers)
}

// awaitSecrets waits until a namespace has n docker configs.
func (b *bench) awaitSecrets(ctx context.Context, namespace string, n int) error {
	ctx, cancel := context.WithTimeout(ctx, phaseLimit)
	defer cancel()
	for {
		secrets := secretsMetadata()
		err := b.Client.List(ctx, secrets, client.InNamespace(namespace), client.MatchingFields{"type": string(corev1.SecretTypeDockerConfigJson)})
		if err != nil || len(secrets.Items) >= n {
			return err
		}
		if err := observe(ctx, 250*time.Millisecond); err != nil {
			return fmt.Errorf("%d of %d Secrets are in %s: %w", len(secrets.Items), n, namespace, err)
		}
	}
}

// race has targets of as many credentials need one token of the controller's own while the cloud is slow, so that all of them have come before
// there is one.
func (b *bench) race(ctx context.Context) error {
	const name = "race"
	progress("%d targets need one token at once", racers)
	b.AWS.ECR.Set(cloud.Fault{Latency: raceLatency})
	defer b.AWS.ECR.Reset()
	err := forEach(ctx, racers, func(ctx context.Context, i int) error {
		namespace := fmt.Sprintf("%s-%02d", name, i)
		if err := b.createNamespace(ctx, namespace, namespace); err != nil {
			return err
		}
		return b.Client.Create(ctx, clusterCredential(namespace, namespace, nil))
	})
	for i := 0; err == nil && i < racers; i++ {
		err = b.awaitSecrets(ctx, fmt.Sprintf("%s-%02d", name, i), 1)
	}
	return err
}

// failover ends the controller when a third of a fan-out is done, and lets another one go on.
func (b *bench) failover(ctx context.Context) error {
	const name = "failover"
	progress("failover in the middle of a fan-out")
	leader := b.controller
	if _, err := b.startController(ctx); err != nil {
		return err
	}
	secrets, err := b.watchNamed(ctx, secretsMetadata(), name)
	if err != nil {
		return err
	}
	defer secrets.stop()
	some := secrets.expect(ctx, b.namespaces/3, anything)
	credential := clusterCredential(name, "fan-out", nil)
	credential.Spec.Registries = []v1alpha1.Registry{ecrOf("999999999999")} // no token that is known is for it
	if err := b.Client.Create(ctx, credential); err != nil {
		return err
	}
	done, err := some()
	if err != nil {
		return err
	}
	if err := leader.Kill(); err != nil {
		return err
	}
	killed := time.Now()
	rest := secrets.expect(ctx, b.namespaces-len(done), func(o client.Object) bool {
		_, had := done[o.GetNamespace()]
		return !had
	})
	later, err := rest()
	b.report.must(later.last().After(killed.Add(time.Second)), "the fan-out was done before the failover")
	return err
}
