package chart

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/lab"
)

// thing is something that an administrator deletes, and for which Helm or Kubernetes may have to wait.
type thing struct {
	name   string
	delete func(t *testing.T, w *installation)
}

var things = []thing{
	{"credentials", func(t *testing.T, _ *installation) {
		t.Helper()
		err := world.Client.DeleteAllOf(t.Context(), &v1alpha1.ClusterRegistryCredential{})
		if err != nil && !meta.IsNoMatchError(err) && !apierrors.IsNotFound(err) { // the CRDs may have gone before
			t.Fatal(err)
		}
	}},
	{"namespace", func(t *testing.T, w *installation) {
		t.Helper()
		kubectl(t, "", "delete", "namespace", w.doomed, "--wait=false")
	}},
	{"CRDs", func(t *testing.T, _ *installation) {
		t.Helper()
		kubectl(t, "", "delete", "--ignore-not-found", "--timeout=30s", "-f", world.Root+"/config/crd")
	}},
	{"release", func(t *testing.T, w *installation) {
		t.Helper()
		uninstall(t)
		stop(t, w.controller)
	}},
}

// installation is one that works, with two namespaces that it serves.
type installation struct {
	controller      *lab.Controller
	doomed, staying string
}

func working(t *testing.T, i int, args ...string) *installation {
	t.Helper()
	w := &installation{doomed: fmt.Sprintf("doomed-%d", i), staying: fmt.Sprintf("staying-%d", i)}
	name := fmt.Sprintf("order-%d", i)
	for _, ns := range []string{w.doomed, w.staying} {
		namespace(t, ns, map[string]string{"team": name})
	}
	install(t, "regcred-system", args...)
	kubectl(t, "", "wait", "--for=condition=Established", "crd/clusterregistrycredentials.regcred.dev")
	c := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: name}}
	c.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{"team": v1alpha1.LabelValue(name)}
	c.Spec.Registries = []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: "eu-west-1"}}}
	c.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Names: []string{"default"}}
	must(t, world.Client.Create(t.Context(), c))
	w.controller = start(t, "regcred-system")
	for _, ns := range []string{w.doomed, w.staying} {
		secret(t, ns, name)
		linked(t, ns, name)
	}
	return w
}

// orders are all in which the things can be deleted.
func orders(things []thing) [][]thing {
	if len(things) == 0 {
		return [][]thing{nil}
	}
	var all [][]thing
	for i := range things {
		rest := slices.Delete(slices.Clone(things), i, i+1)
		for _, order := range orders(rest) {
			all = append(all, append([]thing{things[i]}, order...))
		}
	}
	return all
}

// everyOrder is for `make chart`, which takes its time. Otherwise a few orders are tried, in which each thing is the first.
var everyOrder = flag.Bool("every-order", false, "try every order of uninstalling, and the effect of every value")

func TestNothingIsStuckInWhateverOrderItIsUninstalled(t *testing.T) {
	all := orders(things)
	if len(all) != 24 {
		t.Fatalf("%d orders", len(all))
	}
	for i, order := range all {
		if !slices.Contains([]int{0, 10, 15, 20}, i) && !*everyOrder {
			continue
		}
		var names []string
		for _, thing := range order {
			names = append(names, thing.name)
		}
		t.Run(strings.Join(names, ","), func(t *testing.T) {
			w := working(t, i)
			name := fmt.Sprintf("order-%d", i)
			if i == 0 {
				awaitCollector(t, w.staying)
			}
			for _, thing := range order {
				thing.delete(t, w)
				if slices.Contains([]string{"credentials", "CRDs"}, thing.name) && slices.Index(names, "release") > slices.Index(names, thing.name) {
					// By the controller, since there is one.
					eventually(t, "a link to be removed", func() (bool, error) { return !slices.Contains(links(t, w.staying), name), nil })
				}
			}
			gone(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.doomed}})
			if i == 0 {
				gone(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.staying, Name: name}})
			}
			if got := links(t, w.staying); len(got) > 0 {
				t.Errorf("links dangle: %q", got)
			}
			anybodyCanGoOn(t, w.staying)
		})
	}
}

// awaitCollector waits until Kubernetes' garbage collector knows our kinds: it looks for new ones every 30 s, and an owner that it has
// never seen it does not miss. Hence one order only is tried with it.
func awaitCollector(t *testing.T, ns string) {
	t.Helper()
	owner := own(ns, "owner")
	must(t, world.Client.Create(t.Context(), owner))
	owned := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "owned", OwnerReferences: []metav1.OwnerReference{{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.KindRegistryCredential, Name: owner.Name, UID: owner.UID,
	}}}}
	must(t, world.Client.Create(t.Context(), owned))
	must(t, world.Client.Delete(t.Context(), owner))
	gone(t, owned)
}

func gone(t *testing.T, o client.Object) {
	t.Helper()
	eventually(t, "the end of "+o.GetName(), func() (bool, error) {
		err := world.Client.Get(context.WithoutCancel(t.Context()), client.ObjectKeyFromObject(o), o)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
}

// anybodyCanGoOn: no policy is left that refuses what people do.
func anybodyCanGoOn(t *testing.T, ns string) {
	t.Helper()
	must(t, world.Client.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "next"}}))
	must(t, world.Client.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "next"}}))
	nothingIsLeft(t)
}

// nothingIsLeft of the release, in any namespace. The hook's pods are left to Kubernetes' garbage collector.
func nothingIsLeft(t *testing.T) {
	t.Helper()
	left := func(kinds string) string {
		return kubectl(t, "", "get", kinds, "--all-namespaces", "-l", "app.kubernetes.io/instance=regcred", "-o", "name")
	}
	out := left("clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings,mutatingadmissionpolicies,mutatingadmissionpolicybindings,flowschemas," +
		"serviceaccounts,roles,rolebindings,deployments,services,networkpolicies,poddisruptionbudgets,jobs")
	if out != "" {
		t.Errorf("left behind: %s", out)
	}
	eventually(t, "the hook's pods to be gone", func() (bool, error) { return left("pods") == "", nil })
}

// uninstall uninstalls the release. There is no kubelet: the test runs the pod that Kubernetes' Job controller makes of the hook's Job, while
// the controller still runs, which no longer may do anything.
func uninstall(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ran := make(chan error, 1)
	go func() {
		ran <- world.RunPod(ctx, "regcred-system", map[string]string{"app.kubernetes.io/component": "uninstall"}, logOf(t))
	}()
	mustHelm(t, "uninstall", "regcred", "--namespace", "regcred-system", "--wait=legacy", "--timeout", patience.String())
	must(t, <-ran)
}

// stop stops a controller that has no rights left, not even to release its Lease: the next one would wait until that runs out.
func stop(t *testing.T, controller *lab.Controller) {
	t.Helper()
	must(t, controller.Stop())
	kubectl(t, "", "delete", "lease", "regcred.regcred.dev", "-n", "regcred-system", "--ignore-not-found")
}

func TestLinksStayIfTheyAreToldTo(t *testing.T) {
	w := working(t, 100, "--set", "uninstall.unlink=false")
	mustHelm(t, "uninstall", "regcred", "--namespace", "regcred-system", "--wait=legacy", "--timeout", patience.String())
	stop(t, w.controller)
	linked(t, w.staying, "order-100")
	nothingIsLeft(t)
	things[0].delete(t, w)
}

// TestAHookThatCannotRunIsReportedAndLeavesNothing: there is no kubelet, and nobody plays it.
func TestAHookThatCannotRunIsReportedAndLeavesNothing(t *testing.T) {
	install(t, "regcred-system")
	_, err := world.Helm(t.Context(), "uninstall", "regcred", "--namespace", "regcred-system", "--timeout", "2s")
	if err == nil || !strings.Contains(err.Error(), "uninstallation completed with 1 error") {
		t.Errorf("%v, want one that says that all but the hook went well", err)
	}
	nothingIsLeft(t)
	if out := mustHelm(t, "list", "--all-namespaces", "--filter", "^regcred$", "--short"); out != "" {
		t.Errorf("there still is a release: %s", out)
	}
}

// TestTheHookWaitsForItsRights: where hooks start in any order, the Job may run before its binding is there.
func TestTheHookWaitsForItsRights(t *testing.T) {
	namespace(t, "any-order", nil)
	namespace(t, "any-order-team", nil)
	kubectl(t, "", "annotate", "serviceaccount", "default", "-n", "any-order-team", "link.regcred.dev/ours=RegistryCredential")
	kubectl(t, "", "patch", "serviceaccount", "default", "-n", "any-order-team", "-p", `{"imagePullSecrets":[{"name":"ours"}]}`)
	hooks := documents(t, mustHelm(t, "template", "regcred", "charts/regcred", "--namespace", "any-order", "--show-only", "templates/uninstall.yaml"))
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ran := make(chan error, 1)
	go func() {
		ran <- world.RunPod(ctx, "any-order", map[string]string{"app.kubernetes.io/component": "uninstall"}, logOf(t))
	}()
	// The Job first, then its ServiceAccount, without which no pod is made, and its rights last.
	slices.SortFunc(hooks, func(a, b *unstructured.Unstructured) int {
		place := []string{"Job", "ServiceAccount", "ClusterRole", "ClusterRoleBinding"}
		return slices.Index(place, a.GetKind()) - slices.Index(place, b.GetKind())
	})
	for _, o := range hooks {
		if strings.Contains(o.GetKind(), "Role") {
			eventually(t, "the Job to be refused", func() (bool, error) {
				return len(requests(t, "system:serviceaccount:any-order:regcred-uninstall", began, refused)) > 0, nil
			})
		}
		create(t, o)
	}
	must(t, <-ran)
	if got := links(t, "any-order-team"); len(got) > 0 {
		t.Errorf("links stay: %q", got)
	}
}
