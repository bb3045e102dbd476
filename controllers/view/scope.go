package view

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
)

// Scope is the part of the cluster that the controller serves, and may read. The zero value is all of it.
type Scope struct {
	// Namespaces are the only ones that are served, if there are any. Then nothing cluster-scoped is read: no ClusterRegistryCredentials,
	// and no labels of namespaces.
	Namespaces sets.Set[string]
	// SecretNames are the names of the only Secrets that are read and written, if there are any: those of credentials and those that
	// identities refer to.
	SecretNames sets.Set[string]
	// Annotations are the annotations of ServiceAccounts that providers read.
	Annotations sets.Set[string]
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

// CacheOptions is what the manager's cache holds of the scope. Secrets of certain names are in caches of their own: see Caches.
func (s Scope) CacheOptions() cache.Options {
	options := Options(s.Annotations)
	options.NewInformer = inBuckets
	if s.Confined() {
		options.NewInformer = newInformer // each is of one namespace
		options.DefaultNamespaces = make(map[string]cache.Config, len(s.Namespaces))
		for name := range s.Namespaces {
			options.DefaultNamespaces[name] = cache.Config{}
		}
	}
	for o := range options.ByObject {
		kind := o.GetObjectKind().GroupVersionKind().Kind
		if kind == KindSecret && s.named() || kind == KindNamespace && s.Confined() {
			delete(options.ByObject, o)
		}
	}
	return options
}

// Confined says whether certain namespaces are served alone.
func (s Scope) Confined() bool { return len(s.Namespaces) > 0 }
func (s Scope) named() bool    { return len(s.SecretNames) > 0 }

// Kinds are the kinds of credentials that are served.
func (s Scope) Kinds() []client.Object {
	if s.Confined() {
		return []client.Object{&v1alpha1.RegistryCredential{}}
	}
	return []client.Object{&v1alpha1.RegistryCredential{}, &v1alpha1.ClusterRegistryCredential{}}
}

// Serves says whether the credential can be read at all: what another controller keeps must not be taken for left behind.
func (s Scope) Serves(key credential.Key) bool { return !s.Confined() || key.Namespace != "" }

// MayWrite says whether the target's Secret and links are this controller's to change.
func (s Scope) MayWrite(t credential.Target) bool {
	return s.Serves(t.Credential) && s.Refuses(t) == nil
}

// EachNamespace are the namespaces to list or watch one by one: all at once, unless the scope is confined.
func (s Scope) EachNamespace() []string {
	if s.Confined() {
		return sets.List(s.Namespaces)
	}
	return []string{metav1.NamespaceAll}
}

// Refuses says why the target cannot be served.
func (s Scope) Refuses(t credential.Target) *credential.Failure {
	if !s.named() || s.SecretNames.Has(t.Name) {
		return nil
	}
	return &credential.Failure{Reason: v1alpha1.ReasonNameNotServed, Terminal: true, Message: fmt.Sprintf(
		"the administrator lets this controller write only Secrets of the names %s (--secret-names): create a credential with one of them as its secretName, or ask for this one",
		strings.Join(sets.List(s.SecretNames), ", "))}
}
