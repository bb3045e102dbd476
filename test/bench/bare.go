package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

// What a bare client does is what the API server and the machine let anybody do at that moment: one watch, and on what it shows the writes
// that Regcred makes, without a cache, a queue, a status or a cloud.

// answer calls do for each object that a watch of its own shows, one after the other. Whoever stops it gets what has failed; that an object
// exists already is no failure, for a watch may show one twice.
func (b *bench) answer(ctx context.Context, list client.ObjectList, which client.ListOption, do func(client.Object) error) (stop func() error, err error) {
	shown, err := b.watch(ctx, list, which)
	if err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() {
		var errs []error
		for s := range shown.sights {
			if err := do(s.object); !apierrors.IsAlreadyExists(err) {
				errs = append(errs, err)
			}
		}
		done <- errors.Join(errs...)
	}()
	return func() error {
		shown.watch.Stop()
		return <-done
	}, nil
}

// pace is how long arrivals took, shortest first: those that Regcred answered, and those of a bare client.
type pace struct{ regcred, bare []time.Duration }

// over is the ratio to that of a bare client, without what the cloud takes.
func (p pace) over(percent int, cloud time.Duration) float64 {
	return float64(percentile(p.regcred, percent)-cloud) / float64(percentile(p.bare, percent))
}

// credentialsArriveBeside lets n credentials arrive for Regcred, and n for a bare client at the same time.
func (b *bench) credentialsArriveBeside(ctx context.Context, name string, n int, registries func(int) []v1alpha1.Registry) (p pace, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		p.regcred, err = b.credentialsArrive(ctx, name, n, false, registries)
		return err
	})
	group.Go(func() (err error) {
		p.bare, err = b.bareCredentialsArrive(ctx, name+"-bare", n, registries)
		return err
	})
	return p, group.Wait()
}

// bareCredentialsArrive lets suspended credentials arrive, which Regcred leaves alone, and a bare client make a Secret for each.
func (b *bench) bareCredentialsArrive(ctx context.Context, name string, n int, registries func(int) []v1alpha1.Registry) (took []time.Duration, err error) {
	stop, err := b.answer(ctx, &v1alpha1.RegistryCredentialList{}, client.MatchingFields{metav1.ObjectNameField: name}, func(o client.Object) error {
		return b.Client.Create(ctx, bareSecret(o.GetNamespace(), name))
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return b.credentialsArrive(ctx, name, n, true, registries)
}

// namespacesArriveBeside does the same with namespaces, each with a Secret and a link.
func (b *bench) namespacesArriveBeside(ctx context.Context, name string, n int) (p pace, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		began, published, linked, err := b.namespacesArrive(ctx, name, n)
		p.regcred = between(began, published, linked)
		return err
	})
	group.Go(func() (err error) {
		p.bare, err = b.bareNamespacesArrive(ctx, name+"-bare", n)
		return err
	})
	return p, group.Wait()
}

// bareNamespacesArrive lets namespaces arrive that no credential selects, and a bare client make a Secret and a link for each.
func (b *bench) bareNamespacesArrive(ctx context.Context, name string, n int) (took []time.Duration, err error) {
	secrets, err := b.watchNamed(ctx, secretsMetadata(), name)
	if err != nil {
		return nil, err
	}
	defer secrets.stop()
	link := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"imagePullSecrets":[{"name":%q}]}`, name))
	stop, err := b.answer(ctx, namespacesMetadata(), client.MatchingLabels{groupLabel: name}, func(o client.Object) error {
		account := defaultAccount(o.GetName())
		if err := b.Client.Create(ctx, account); err != nil {
			return err
		}
		return errors.Join(b.Client.Create(ctx, bareSecret(o.GetName(), name)), b.Client.Patch(ctx, account, link))
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	began, published, linked, err := b.newNamespaces(ctx, secrets, name, name, n)
	return between(began, published, linked), err
}

// bareSecret is as large as one with a token of ECR.
func bareSecret(namespace, name string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: map[string]string{registriesAnnotation: fmt.Sprintf("%0300d", 0)}},
		Type:       corev1.SecretTypeDockerConfigJson,
		Data:       map[string][]byte{corev1.DockerConfigJsonKey: fmt.Appendf(nil, `{"auths":{"registry.example":{"auth":"%04000d"}}}`, 0)},
	}
}
