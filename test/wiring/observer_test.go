package wiring

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/regcred/regcred/test/cloud"
)

// observer sees every version of every object of the cluster from its start on: whole ones and, of Secrets, the metadata.
type observer struct {
	kinds  []observed
	cancel context.CancelFunc
	open   sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{}
	latest  map[types.UID]string // resource versions
	count   map[string]int       // versions by resource
	shown   []sighting
	broken  error
}

// sighting is a version of an object that shows a credential.
type sighting struct{ resource, namespace, name string }

// observed is one resource of the API.
type observed struct {
	schema.GroupVersionResource
	watch func(context.Context, metav1.ListOptions) (watch.Interface, error)
	list  func(context.Context, metav1.ListOptions) (runtime.Object, error)
}

func observe(ctx context.Context, cfg *rest.Config) (*observer, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.WarningHandler = rest.NoWarnings{} // of old APIs, which are watched as well
	o := &observer{changed: make(chan struct{}), latest: map[types.UID]string{}, count: map[string]int{}}
	var err error
	if o.kinds, err = allKinds(cfg); err != nil {
		return nil, err
	}
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	o.cancel = cancel
	for _, kind := range o.kinds {
		w, err := kind.watch(watching, metav1.ListOptions{})
		if err != nil {
			cancel()
			return nil, fmt.Errorf("watching %s: %w", kind.Resource, err)
		}
		o.open.Go(func() { o.follow(watching, kind, w) })
	}
	return o, nil
}

func (o *observer) stop() error {
	o.cancel()
	o.open.Wait()
	return nil
}

// allKinds are the resources that can be watched.
func allKinds(cfg *rest.Config) ([]observed, error) {
	discoverer, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return nil, err
	}
	objects, err1 := dynamic.NewForConfig(cfg)
	metadatas, err2 := metadata.NewForConfig(cfg)
	lists, err3 := discoverer.ServerPreferredResources()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	var kinds []observed
	for _, list := range lists {
		group, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, r := range list.APIResources {
			if !slices.Contains(r.Verbs, "watch") || !slices.Contains(r.Verbs, "list") {
				continue
			}
			kind := observed{GroupVersionResource: group.WithResource(r.Name)}
			if kind.Group == "" && r.Name == "secrets" {
				client := metadatas.Resource(kind.GroupVersionResource)
				kind.watch = client.Watch
				kind.list = func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return client.List(ctx, o) }
			} else {
				client := objects.Resource(kind.GroupVersionResource)
				kind.watch = client.Watch
				kind.list = func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return client.List(ctx, o) }
			}
			kinds = append(kinds, kind)
		}
	}
	return kinds, nil
}

func (o *observer) follow(ctx context.Context, kind observed, w watch.Interface) {
	defer w.Stop()
	for e := range w.ResultChan() {
		object, ok := e.Object.(metav1.Object)
		raw, err := json.Marshal(e.Object)
		if !ok || err != nil {
			break
		}
		o.see(kind, object, cloud.ContainsCredential(raw))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if ctx.Err() == nil {
		o.broken = errors.Join(o.broken, fmt.Errorf("the watch of %s has ended", kind.Resource))
	}
}

func (o *observer) see(kind observed, object metav1.Object, shows bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.latest[object.GetUID()] = object.GetResourceVersion()
	o.count[kind.GroupResource().String()]++
	if shows {
		o.shown = append(o.shown, sighting{kind.GroupResource().String(), object.GetNamespace(), object.GetName()})
	}
	close(o.changed)
	o.changed = make(chan struct{})
}

// catchUp waits until all that is in the cluster now has been seen, and gives what has shown a credential so far.
func (o *observer) catchUp(ctx context.Context) ([]sighting, error) {
	ctx, cancel := world.Within(ctx, patience)
	defer cancel()
	for _, kind := range o.kinds {
		list, err := kind.list(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, err
		}
		err = meta.EachListItem(list, func(item runtime.Object) error {
			object, err := meta.Accessor(item)
			if err != nil {
				return err
			}
			return o.await(ctx, kind, object)
		})
		if err != nil {
			return nil, err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.shown), o.broken
}

func (o *observer) await(ctx context.Context, kind observed, object metav1.Object) error {
	for {
		o.mu.Lock()
		seen, changed := o.latest[object.GetUID()], o.changed
		o.mu.Unlock()
		if seen != "" {
			if order, err := resourceversion.CompareResourceVersion(seen, object.GetResourceVersion()); err != nil || order >= 0 {
				return err
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%s %s/%s has not been seen: %w", kind.Resource, object.GetNamespace(), object.GetName(), context.Cause(ctx))
		}
	}
}

// versions is how many versions of a resource have been seen.
func (o *observer) versions(resource string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.count[resource]
}

// leaked names the places that show a credential: lines of the log, metrics, and objects, except those that are baits.
func leaked(ctx context.Context) ([]string, error) {
	leaks := linesWithCredentials(logged.Bytes())
	metrics, err := scrape(ctx)
	if err != nil {
		return nil, err
	}
	if cloud.ContainsCredential(metrics) {
		leaks = append(leaks, "the metrics")
	}
	shown, err := witness.catchUp(ctx)
	for _, s := range shown {
		if s.namespace != baits {
			leaks = append(leaks, fmt.Sprintf("%s %s/%s", s.resource, s.namespace, s.name))
		}
	}
	slices.Sort(leaks)
	return slices.Compact(leaks), err
}

// linesWithCredentials names lines, and does not repeat them.
func linesWithCredentials(log []byte) []string {
	var lines []string
	number := 0
	for line := range bytes.Lines(log) {
		number++
		// client-go dumps the bodies that are no text in hexadecimal digits, where nothing is found.
		if cloud.ContainsCredential(line) || bytes.Contains(line, []byte(`"msg":"Response Body"`)) {
			lines = append(lines, fmt.Sprintf("line %d of the log", number))
		}
	}
	if len(lines) == 0 && cloud.ContainsCredential(log) {
		lines = append(lines, "the log")
	}
	return lines
}

// scrape reads the controller's metrics.
func scrape(ctx context.Context) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, controller.Metrics, http.NoBody)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return io.ReadAll(res.Body)
}
