// Package cluster reads a cluster with the rights of the caller, and remembers what they do not suffice for.
package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
)

// pageSize is how many objects a request asks for at most.
const pageSize = 500

// FieldManager is the name that the plugin's writes go under. It is not the controller's: a write by hand must look like one.
const FieldManager = "kubectl-regcred"

// Cluster is a client that knows its kinds without discovery, so that a command costs the requests it makes and no more.
type Cluster struct {
	client.WithWatch
	// Config is the caller's.
	Config *rest.Config

	gaps []Gap
}

// Gap is what the caller may not read.
type Gap struct {
	Verb, Resource, Namespace string
}

func (g Gap) String() string {
	where := "in all namespaces"
	if g.Namespace != "" {
		where = "in namespace " + g.Namespace
	}
	return fmt.Sprintf("not read: %s %s (needs the right to %s them)", g.Resource, where, g.Verb)
}

// Open connects to the cluster of the environment's flags.
func Open(e *cli.Env) (*Cluster, error) {
	config, err := e.Config.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	config.UserAgent = "kubectl-regcred/" + e.Version
	config.QPS, config.Burst = 50, 100
	config.WarningHandler = rest.NewWarningWriter(e.ErrOut, rest.WarningWriterOptions{Deduplicate: true})
	return New(config)
}

// New connects to a cluster.
func New(config *rest.Config) (*Cluster, error) {
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme, Mapper: mapper, FieldOwner: FieldManager})
	if err != nil {
		return nil, err
	}
	return &Cluster{WithWatch: c, Config: config}, nil
}

// Each calls fn with each object of a list, page by page. What the caller may not list becomes a gap, and is no error; it says whether
// the list has been read.
func Each[T client.Object](ctx context.Context, c *Cluster, list client.ObjectList, namespace string, fn func(T) error, options ...client.ListOption) (read bool, err error) {
	if err := each(ctx, c, list, namespace, fn, options...); err != nil {
		return false, c.forgive(err, "list", ResourceOf(list), namespace)
	}
	return true, nil
}

// EachForeign calls fn with each object of a kind that a cluster need not know. That it is unknown, or may not be listed, is no error, and no gap.
func (c *Cluster) EachForeign(ctx context.Context, gvk schema.GroupVersionKind, namespace string, fn func(*unstructured.Unstructured)) (Presence, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	err := each(ctx, c, list, namespace, func(o *unstructured.Unstructured) error {
		fn(o)
		return nil
	})
	switch {
	case err == nil:
		return Present, nil
	case apierrors.IsNotFound(err):
		return Absent, nil
	case apierrors.IsForbidden(err):
		return Unreadable, nil
	default:
		return Unreadable, fmt.Errorf("reading %s: %w", ResourceOf(list), err)
	}
}

func each[T client.Object](ctx context.Context, c *Cluster, list client.ObjectList, namespace string, fn func(T) error, options ...client.ListOption) error {
	pages := pager.New(func(ctx context.Context, raw metav1.ListOptions) (runtime.Object, error) {
		page := list.DeepCopyObject().(client.ObjectList)
		opts := append(slices.Clip(options), client.InNamespace(namespace), client.Limit(raw.Limit), client.Continue(raw.Continue))
		return page, c.List(ctx, page, opts...)
	})
	pages.PageSize, pages.PageBufferSize = pageSize, 1
	return pages.EachListItem(ctx, metav1.ListOptions{}, func(o runtime.Object) error { return fn(o.(T)) })
}

// Page reads the first page of a list, by one request. What the caller may not list becomes a gap.
func (c *Cluster) Page(ctx context.Context, list client.ObjectList) (read bool, err error) {
	if err = c.List(ctx, list, client.Limit(pageSize)); err != nil {
		return false, c.forgive(err, "list", ResourceOf(list), "")
	}
	return true, nil
}

// Presence is whether an object is there.
type Presence int

// An object is there, is not there, or may not be read.
const (
	Absent Presence = iota
	Present
	Unreadable
)

// Read gets an object. What the caller may not get becomes a gap.
func (c *Cluster) Read(ctx context.Context, namespace, name string, o client.Object) (Presence, error) {
	err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, o)
	switch {
	case err == nil:
		return Present, nil
	case apierrors.IsNotFound(err):
		return Absent, nil
	default:
		return Unreadable, c.forgive(err, "get", ResourceOf(o), namespace)
	}
}

// forgive turns a lack of rights into a gap, and puts other errors into words.
func (c *Cluster) forgive(err error, verb, resource, namespace string) error {
	switch {
	case apierrors.IsForbidden(err):
		c.miss(Gap{verb, resource, namespace})
		return nil
	case verb == "list" && apierrors.IsNotFound(err):
		return ErrNotInstalled
	default:
		return fmt.Errorf("reading %s: %w", resource, err)
	}
}

// ErrNotInstalled is of a cluster without the CustomResourceDefinitions.
var ErrNotInstalled = errors.New("the cluster does not know Regcred's kinds: install the CustomResourceDefinitions (helm install regcred-crds, or kubectl apply -f config/crd)")

func (c *Cluster) miss(g Gap) {
	if !slices.Contains(c.gaps, g) {
		c.gaps = append(c.gaps, g)
	}
}

// Missed says whether the caller may not read objects of the resource.
func (c *Cluster) Missed(resource string) bool {
	return slices.ContainsFunc(c.gaps, func(g Gap) bool { return g.Resource == resource })
}

// Gaps are what could not be read, in sentences.
func (c *Cluster) Gaps() []string {
	slices.SortFunc(c.gaps, func(a, b Gap) int {
		return cmp.Or(cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Verb, b.Verb), cmp.Compare(a.Namespace, b.Namespace))
	})
	var texts []string
	for _, g := range c.gaps {
		texts = append(texts, g.String())
	}
	return texts
}

// ResourceOf is the plural of an object's or a list's kind.
func ResourceOf(o runtime.Object) string {
	gvk, err := apiutil.GVKForObject(o, scheme)
	if err != nil {
		return fmt.Sprintf("%T", o)
	}
	plural, _ := meta.UnsafeGuessKindToResource(gvk.GroupVersion().WithKind(strings.TrimSuffix(gvk.Kind, "List")))
	return plural.Resource
}
