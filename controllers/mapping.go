package controllers

import (
	"context"
	"errors"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/view"
)

// mapping finds the targets that an event concerns, and no others.
type mapping struct {
	cache client.Reader
	// namespace is the controller's own, where the identities of cluster-wide credentials are.
	namespace string
}

func itself(_ context.Context, o client.Object) []credential.Key {
	return []credential.Key{credential.KeyOf(o)}
}

// fromCredential returns every target that the credential has or had.
func (m mapping) fromCredential(ctx context.Context, o client.Object) []credential.Target {
	all, err := view.Targets(ctx, m.cache, o)
	return logged(ctx, all, err)
}

// logged is what a list brings, for those who have no other way to tell of its error than the log.
func logged[T any](ctx context.Context, list []T, err error) []T {
	if err != nil {
		log.FromContext(ctx).Error(err, "Reading the cache failed")
	}
	return list
}

func (m mapping) credentials(ctx context.Context, namespace string) []*credential.Credential {
	all, err := view.Credentials(ctx, m.cache, namespace)
	return logged(ctx, all, err)
}

// served leaves out targets of credentials that cannot be read.
func served(scope view.Scope, find handler.TypedMapFunc[client.Object, credential.Target]) handler.TypedMapFunc[client.Object, credential.Target] {
	return func(ctx context.Context, o client.Object) []credential.Target {
		return slices.DeleteFunc(find(ctx, o), func(t credential.Target) bool { return !scope.Serves(t.Credential) })
	}
}

// fromNamespace returns the targets of the cluster-wide credentials that select the namespace. The event of an update is mapped for
// the namespace as it was, too, and so finds those that select it no longer.
func (m mapping) fromNamespace(ctx context.Context, o client.Object) []credential.Target {
	var targets []credential.Target
	for _, c := range m.credentials(ctx, o.GetName()) {
		if c.Namespace != "" || c.Selects(o) {
			targets = append(targets, c.Target(o.GetName()))
		}
	}
	return targets
}

// fromSecret returns the target that the Secret is.
func fromSecret(_ context.Context, o client.Object) []credential.Target {
	if t, ok := credential.TargetOf(o); ok && !isIdentity(o) {
		return []credential.Target{t}
	}
	return nil
}

// using returns the targets of the credentials that use the object of that name; with an error, those that could be found.
func (m mapping) using(
	ctx context.Context, credentials []*credential.Credential, o client.ObjectKey, uses func(entry *v1alpha1.Registry, name string) bool,
) ([]credential.Target, error) {
	var targets []credential.Target
	var failed []error
	for _, c := range credentials {
		if c.Namespace == "" && o.Namespace != m.namespace {
			continue
		}
		if c.Uses(uses, o.Name) {
			of, err := view.Targets(ctx, m.cache, c.Object)
			targets, failed = append(targets, of...), append(failed, err)
		}
	}
	return targets, errors.Join(failed...)
}

func samePullSecrets(a, b client.Object) bool {
	before, ok := a.(*corev1.ServiceAccount)
	after, also := b.(*corev1.ServiceAccount)
	return ok && also && slices.Equal(before.ImagePullSecrets, after.ImagePullSecrets)
}
