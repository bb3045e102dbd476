package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/regcred/regcred/api/v1alpha1"
)

// Scope is the part of the cluster that the controller serves, and may read. The zero value is all of it.
type Scope struct {
	// Namespaces are the only ones that are served, if there are any. Then nothing cluster-scoped is read: no ClusterRegistryCredentials,
	// and no labels of namespaces.
	Namespaces sets.Set[string]
	// SecretNames are the names of the only Secrets that are read and written, if there are any: those of credentials and those that
	// identities refer to.
	SecretNames sets.Set[string]
}

// Validate says which name cannot be meant.
func (s Scope) Validate() error {
	for _, name := range sets.List(s.Namespaces) {
		if wrong := validation.IsDNS1123Label(name); len(wrong) > 0 {
			return fmt.Errorf("--watch-namespaces: %q is no name of a namespace: %s", name, strings.Join(wrong, "; "))
		}
	}
	for _, name := range sets.List(s.SecretNames) {
		if wrong := validation.IsDNS1123Subdomain(name); len(wrong) > 0 {
			return fmt.Errorf("--secret-names: %q is no name of a Secret: %s", name, strings.Join(wrong, "; "))
		}
	}
	return nil
}

// CacheOptions is what the manager's cache holds of the scope. Secrets of certain names are in caches of their own: see View.
func (s Scope) CacheOptions() cache.Options {
	options := CacheOptions()
	if s.confined() {
		options.DefaultNamespaces = make(map[string]cache.Config, len(s.Namespaces))
		for name := range s.Namespaces {
			options.DefaultNamespaces[name] = cache.Config{}
		}
	}
	for o := range options.ByObject {
		kind := o.GetObjectKind().GroupVersionKind().Kind
		if kind == kindSecret && s.named() || kind == kindNamespace && s.confined() {
			delete(options.ByObject, o)
		}
	}
	return options
}

func (s Scope) confined() bool { return len(s.Namespaces) > 0 }
func (s Scope) named() bool    { return len(s.SecretNames) > 0 }

// credentials are the kinds that are served.
func (s Scope) credentials() []client.Object {
	if s.confined() {
		return []client.Object{&v1alpha1.RegistryCredential{}}
	}
	return []client.Object{&v1alpha1.RegistryCredential{}, &v1alpha1.ClusterRegistryCredential{}}
}

// only leaves out targets of credentials that cannot be read: what another controller keeps must not be taken for left behind.
func (s Scope) only(find handler.TypedMapFunc[client.Object, Target]) handler.TypedMapFunc[client.Object, Target] {
	return func(ctx context.Context, o client.Object) []Target {
		return slices.DeleteFunc(find(ctx, o), func(t Target) bool { return s.confined() && t.Credential.Namespace == "" })
	}
}

// refuses says why the credential cannot be served.
func (s Scope) refuses(key Key) *failure {
	if !s.named() || s.SecretNames.Has(key.Name) {
		return nil
	}
	return &failure{reason: v1alpha1.ReasonNameNotServed, terminal: true, message: fmt.Sprintf(
		"the administrator lets this controller write only Secrets of the names %s (--secret-names): give the credential one of them, or ask for this one",
		strings.Join(sets.List(s.SecretNames), ", "))}
}
