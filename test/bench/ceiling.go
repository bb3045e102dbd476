package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/test/lab"
)

const (
	sampleName = "sample"
	rawName    = "raw"
	// rawSample is how many Secrets a rate needs at most.
	rawSample = 2000
)

// ceiling measures what a bare client-go loop can write: protobuf, no rate limit, as many workers as the controller has. It writes the very
// Secrets that Regcred writes, under the very rights: an administrator skips authorization and the API server's flow control.
type ceiling struct {
	secrets    func(namespace string) secretWriter
	accounts   func(namespace string) accountPatcher
	sample     corev1.Secret
	namespaces int
	// measured is every measurement so far.
	measured []rates
}

type secretWriter interface {
	Create(ctx context.Context, s *corev1.Secret, o metav1.CreateOptions) (*corev1.Secret, error)
	Update(ctx context.Context, s *corev1.Secret, o metav1.UpdateOptions) (*corev1.Secret, error)
	Delete(ctx context.Context, name string, o metav1.DeleteOptions) error
}

type accountPatcher interface {
	Patch(ctx context.Context, name string, t types.PatchType, patch []byte, o metav1.PatchOptions, subresources ...string) (*corev1.ServiceAccount, error)
}

// rates is writes per second, and the processor time of one update with all that the API server does for it.
type rates struct {
	create, update float64
	effort         time.Duration
}

func (b *bench) newCeiling(ctx context.Context) (*ceiling, error) {
	const user = "system:serviceaccount:" + lab.Namespace + ":" + rawName
	config, _, err := b.AddUser(user, []string{"system:serviceaccounts", "system:serviceaccounts:" + lab.Namespace, "system:authenticated"})
	if err != nil {
		return nil, err
	}
	err = b.Client.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: rawName},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "regcred"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
	})
	if err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.ContentType = runtime.ContentTypeProtobuf
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	c := &ceiling{namespaces: min(b.namespaces, rawSample), secrets: func(n string) secretWriter { return clients.CoreV1().Secrets(n) },
		accounts: func(n string) accountPatcher { return clients.CoreV1().ServiceAccounts(n) }}
	c.sample, err = b.sampleSecret(ctx)
	return c, err
}

// sampleSecret lets a controller of its own make one Secret.
func (b *bench) sampleSecret(ctx context.Context) (sample corev1.Secret, err error) {
	progress("looking at one real Secret")
	if err := b.createNamespace(ctx, sampleName, sampleName); err != nil {
		return sample, err
	}
	if _, err := b.startController(ctx); err != nil {
		return sample, err
	}
	watch, err := b.watchNamed(ctx, secretsMetadata(), sampleName)
	if err != nil {
		return sample, err
	}
	defer watch.stop()
	seen := watch.expect(ctx, 1, anything)
	credential := clusterCredential(sampleName, sampleName, nil)
	if err := b.Client.Create(ctx, credential); err != nil {
		return sample, err
	}
	if _, err := seen(); err != nil {
		return sample, err
	}
	if err := b.Client.Get(ctx, client.ObjectKey{Namespace: sampleName, Name: sampleName}, &sample); err != nil {
		return sample, err
	}
	if err := b.controller.Stop(); err != nil {
		return sample, err
	}
	return sample, b.Client.Delete(ctx, credential)
}

// measure creates, updates and deletes one Secret in every namespace.
func (c *ceiling) measure(ctx context.Context) (r rates, err error) {
	progress("raw ceiling")
	r.create, err = c.perSecond(ctx, func(ctx context.Context, i int) error {
		_, err := c.secrets(namespaceName(i)).Create(ctx, c.secret(i, "created"), metav1.CreateOptions{})
		return err
	})
	if err != nil {
		return r, fmt.Errorf("raw create: %w", err)
	}
	// As a rotation does: another token, other times, everything else as it was.
	turn := strings.NewReplacer("A", "B", "B", "A")
	used := processorTime()
	r.update, err = c.perSecond(ctx, func(ctx context.Context, i int) error {
		secret := c.secret(i, "updated")
		secret.Data = map[string][]byte{corev1.DockerConfigJsonKey: []byte(turn.Replace(string(c.sample.Data[corev1.DockerConfigJsonKey])))}
		_, err := c.secrets(namespaceName(i)).Update(ctx, secret, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		return r, fmt.Errorf("raw update: %w", err)
	}
	r.effort = (processorTime() - used) / time.Duration(c.namespaces)
	c.measured = append(c.measured, r)
	return r, forEach(ctx, c.namespaces, func(ctx context.Context, i int) error {
		return c.secrets(namespaceName(i)).Delete(ctx, rawName, metav1.DeleteOptions{})
	})
}

// measureLinks creates a Secret and patches the default ServiceAccount in every namespace, and undoes it. It says how long one of each takes, and its
// processor time.
func (c *ceiling) measureLinks(ctx context.Context) (took, effort time.Duration, err error) {
	progress("raw ceiling of links")
	patch := func(ctx context.Context, i int, annotation, secrets string) error {
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"bench.regcred.dev/link":%s}},"imagePullSecrets":%s}`, annotation, secrets)
		_, err := c.accounts(namespaceName(i)).Patch(ctx, "default", types.MergePatchType, patch, metav1.PatchOptions{})
		return err
	}
	used, start := processorTime(), time.Now()
	err = forEach(ctx, c.namespaces, func(ctx context.Context, i int) error {
		if _, err := c.secrets(namespaceName(i)).Create(ctx, c.secret(i, "created"), metav1.CreateOptions{}); err != nil {
			return err
		}
		return patch(ctx, i, `"`+rawName+`"`, `[{"name":"`+rawName+`"}]`)
	})
	if err != nil {
		return 0, 0, fmt.Errorf("raw links: %w", err)
	}
	n := time.Duration(c.namespaces)
	took, effort = time.Since(start)/n, (processorTime()-used)/n
	return took, effort, forEach(ctx, c.namespaces, func(ctx context.Context, i int) error {
		if err := patch(ctx, i, "null", "null"); err != nil {
			return err
		}
		return c.secrets(namespaceName(i)).Delete(ctx, rawName, metav1.DeleteOptions{})
	})
}

// secret is the sample under another name, with a label that the controller does not watch.
func (c *ceiling) secret(i int, round string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespaceName(i), Name: rawName, OwnerReferences: c.sample.OwnerReferences,
			Labels:      map[string]string{"bench.regcred.dev/secret": rawName},
			Annotations: map[string]string{registriesAnnotation: c.sample.Annotations[registriesAnnotation] + round},
		},
		Type: c.sample.Type,
		Data: c.sample.Data,
	}
}

func (c *ceiling) perSecond(ctx context.Context, do func(context.Context, int) error) (float64, error) {
	start := time.Now()
	err := forEach(ctx, c.namespaces, do)
	return float64(c.namespaces) / time.Since(start).Seconds(), err
}

func (c *ceiling) report(r *report) {
	var creates, updates []float64
	for _, m := range c.measured {
		creates, updates = append(creates, m.create), append(updates, m.update)
	}
	s := r.section(fmt.Sprintf("Raw ceiling: %d Secrets of %d bytes, %d workers, protobuf, median of %d",
		c.namespaces, c.sample.Size(), workers, len(c.measured)))
	s.add(figure{ID: "raw-create", Name: "create", Value: median(creates), Unit: "/s", Note: each(creates, 0)})
	s.add(figure{ID: "raw-put", Name: "update (PUT)", Value: median(updates), Unit: "/s", Note: each(updates, 0)})
}
