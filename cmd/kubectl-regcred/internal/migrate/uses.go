package migrate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/legacy"
)

const (
	externalSecrets = legacy.ExternalSecrets

	externalSecret        = "ExternalSecret"
	clusterExternalSecret = "ClusterExternalSecret"
	pushSecret            = "PushSecret"
)

// foreign are the kinds of External Secrets that are looked at, each in the versions that a cluster may serve, the newest first.
var foreign = [][]schema.GroupVersionKind{
	{cluster.Generators.WithKind(generatesECR)},
	{cluster.Generators.WithKind(generatesGoogle)},
	{cluster.Generators.WithKind(generatesACR)},
	{cluster.Generators.WithKind(clusterGenerator)},
	{cluster.ExternalSecrets("v1").WithKind(externalSecret), cluster.ExternalSecrets("v1beta1").WithKind(externalSecret)},
	{cluster.ExternalSecrets("v1alpha1").WithKind(pushSecret)},
}

// use is what has tokens made by generators: an ExternalSecret for a Secret, a PushSecret for a store, a ClusterExternalSecret for what it makes.
type use struct {
	kind, namespace, name string
	// owner is the ClusterExternalSecret that makes it; empty if there is none.
	owner string
	// target is the Secret that it writes, pull whether as one to pull with, and hosts are those that its template names.
	target     string
	pull       bool
	hosts      []string
	generators []generatorRef
}

// generatorRef names a generator.
type generatorRef struct{ kind, name string }

// findForeign takes in what External Secrets has in the cluster, and says what could not be looked for.
func (f *findings) findForeign(ctx context.Context, k *cluster.Cluster, namespace string) error {
	var absent, unreadable []string
	for _, versions := range foreign {
		var is cluster.Presence
		var err error
		for _, gvk := range versions {
			is, err = k.EachForeign(ctx, gvk, namespace, func(o *unstructured.Unstructured) { f.addForeign(o) })
			if err != nil {
				return err
			}
			if is != cluster.Absent {
				break
			}
		}
		plural := strings.ToLower(versions[0].Kind) + "s"
		switch is {
		case cluster.Absent:
			absent = append(absent, plural)
		case cluster.Unreadable:
			unreadable = append(unreadable, plural)
		}
	}
	if len(absent) > 0 {
		f.note("not looked for: %s of External Secrets, which the cluster does not know", strings.Join(absent, ", "))
	}
	if len(unreadable) > 0 {
		f.notRead = append(f.notRead, fmt.Sprintf("not read: %s of External Secrets, if the cluster knows them (needs the right to list them)", strings.Join(unreadable, ", ")))
	}
	return nil
}

func (f *findings) note(format string, args ...any) {
	f.notes = append(f.notes, fmt.Sprintf(format, args...))
}

// addForeign takes an object of External Secrets in.
func (f *findings) addForeign(o *unstructured.Unstructured) {
	switch gvk := o.GroupVersionKind(); {
	case gvk.Group == cluster.Generators.Group:
		g, err := generatorOf(o)
		if err != nil {
			f.notRead = append(f.notRead, err.Error())
		}
		if g != nil {
			f.generators = append(f.generators, g)
		}
	case gvk.Group != cluster.ExternalSecrets("").Group:
	case gvk.Kind == externalSecret, gvk.Kind == pushSecret, gvk.Kind == clusterExternalSecret:
		f.uses = append(f.uses, useOf(o))
	}
}

func useOf(o *unstructured.Unstructured) use {
	u := use{kind: o.GetKind(), namespace: o.GetNamespace(), name: o.GetName()}
	if owner := metav1.GetControllerOf(o); owner != nil && owner.Kind == clusterExternalSecret {
		u.owner = owner.Name
	}
	spec, _, _ := unstructured.NestedMap(o.Object, "spec")
	if u.kind == pushSecret {
		u.add(unstructured.NestedMap(spec, "selector", "generatorRef"))
		return u
	}
	if u.kind == clusterExternalSecret {
		u.namespace = ""
		spec, _, _ = unstructured.NestedMap(spec, "externalSecretSpec")
	}
	from, _, _ := unstructured.NestedSlice(spec, "dataFrom")
	for _, one := range from {
		if source, ok := one.(map[string]any); ok {
			u.add(unstructured.NestedMap(source, "sourceRef", "generatorRef"))
		}
	}
	u.target, _, _ = unstructured.NestedString(spec, "target", "name")
	u.target = cmp.Or(u.target, u.name)
	template, _, _ := unstructured.NestedMap(spec, "target", "template", "data")
	kind, _, _ := unstructured.NestedString(spec, "target", "template", "type")
	u.pull = kind == string(corev1.SecretTypeDockerConfigJson) || kind == string(corev1.SecretTypeDockercfg)
	for _, text := range template {
		u.hosts = append(u.hosts, hostsIn(fmt.Sprint(text))...)
	}
	slices.Sort(u.hosts)
	u.hosts = slices.Compact(u.hosts)
	return u
}

// add takes a reference to a generator in, if there is one.
func (u *use) add(ref map[string]any, there bool, err error) {
	kind, _ := ref["kind"].(string)
	name, _ := ref["name"].(string)
	if there && err == nil && name != "" {
		u.generators = append(u.generators, generatorRef{kind, name})
	}
}

// connect finds out which generator makes the tokens of which Secret.
func (f *findings) connect() {
	slices.SortFunc(f.uses, func(a, b use) int { return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.where(), b.where())) })
	slices.SortFunc(f.generators, func(a, b *generator) int { return cmp.Compare(a.String(), b.String()) })
	used := map[*generator]bool{}
	for _, u := range f.uses {
		var by []*generator
		for _, ref := range u.generators {
			if g := f.generator(u.namespace, ref); g != nil {
				by, used[g] = append(by, g), true
			} else if ref.kind == clusterGenerator || slices.Contains([]string{generatesECR, generatesGoogle, generatesACR}, ref.kind) {
				f.note("%s %s names %s %s, which was not found", u.kind, u.where(), ref.kind, ref.name)
			}
		}
		if len(by) > 0 {
			f.takeOver(u, by)
		}
	}
	for _, g := range f.generators {
		f.tools = append(f.tools, Found{Kind: g.kind, Namespace: g.namespace, Name: g.name, Tool: externalSecrets})
		if !used[g] {
			f.note("nothing that was read uses %s", g)
		}
	}
}

func (u use) where() string { return strings.TrimPrefix(u.namespace+"/"+u.name, "/") }

// generator is what a reference names. A generator is in the namespace of what uses it, or of the cluster.
func (f *findings) generator(namespace string, ref generatorRef) *generator {
	if ref.kind == clusterGenerator {
		namespace = ""
	}
	for _, g := range f.generators {
		if g.kind == ref.kind && g.name == ref.name && g.namespace == namespace {
			return g
		}
	}
	return nil
}

// takeOver has the Secret that something writes by generators taken over, whether it could be read or not.
func (f *findings) takeOver(u use, by []*generator) {
	f.tools = append(f.tools, Found{Kind: u.kind, Namespace: u.namespace, Name: u.name, Tool: externalSecrets + ", by " + by[0].String(), Owner: u.owner, secret: u.namespace + "/" + u.target})
	switch u.kind {
	case pushSecret:
		f.note("PushSecret %s writes the token of %s into a store outside of this cluster's Secrets: nothing here replaces it", u.where(), by[0])
		return
	case clusterExternalSecret:
		f.note("ClusterExternalSecret %s makes ExternalSecrets: those of its namespaces count, in the cluster", u.name)
		return
	}
	full := u.namespace + "/" + u.target
	if f.kept[full] {
		f.note("a credential keeps Secret %s already: ExternalSecret %s can go", full, u.where())
		return
	}
	at := slices.IndexFunc(f.secrets, func(s secret) bool { return s.namespace == u.namespace && s.name == u.target })
	switch {
	case at < 0 && !u.pull:
		f.note("ExternalSecret %s writes no Secret to pull with: nothing here replaces it", u.where())
		return
	case at < 0:
		at = len(f.secrets)
		f.secrets = append(f.secrets, secret{namespace: u.namespace, name: u.target, tool: externalSecrets})
	}
	s := &f.secrets[at]
	s.tool, s.generators, s.hosts = externalSecrets, append(s.generators, by...), append(s.hosts, u.hosts...)
}
