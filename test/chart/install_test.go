package chart

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/lab"
)

// installCRDs installs the definitions by the chart of their own.
func installCRDs(t *testing.T) {
	t.Helper()
	mustHelm(t, "upgrade", "--install", "regcred-crds", "charts/regcred-crds", "--namespace", "regcred-crds", "--create-namespace", "--take-ownership")
	uninstallAfter(t, "regcred-crds", "regcred-crds")
}

// credentials are values with one cluster-wide credential for the namespaces with the label.
func credentials(name, label string) string {
	return fmt.Sprintf(`{"credentials":[{"name":%q,"spec":{"namespaceSelector":{"matchLabels":{"team":%q}},`+
		`"registries":[{"name":"prod","ecr":{"region":"eu-west-1"}}],"serviceAccounts":{"names":["default"]}}}]}`, name, label)
}

func values(t *testing.T, text string) string {
	t.Helper()
	file := t.TempDir() + "/values.yaml"
	must(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func secret(t *testing.T, namespace, name string) *corev1.Secret {
	t.Helper()
	s := &corev1.Secret{}
	eventually(t, "Secret "+namespace+"/"+name, func() (bool, error) {
		err := world.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, s)
		return err == nil, client.IgnoreNotFound(err)
	})
	return s
}

// links are what the default ServiceAccount links.
func links(t *testing.T, namespace string) []string {
	t.Helper()
	sa := &corev1.ServiceAccount{}
	must(t, world.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "default"}, sa))
	var names []string
	for _, s := range sa.ImagePullSecrets {
		names = append(names, s.Name)
	}
	return names
}

func linked(t *testing.T, namespace, name string) {
	t.Helper()
	eventually(t, "a link of "+namespace, func() (bool, error) { return slices.Contains(links(t, namespace), name), nil })
}

// requests are those of the controller since then.
func requests(t *testing.T, user string, since time.Time, keep func(controlplane.AuditRequest) bool) []controlplane.AuditRequest {
	t.Helper()
	all, err := world.AuditRequests(since, func(r controlplane.AuditRequest) bool { return r.User == user && keep(r) })
	must(t, err)
	return all
}

func refused(r controlplane.AuditRequest) bool { return r.Code == 403 }
func writes(r controlplane.AuditRequest) bool {
	return r.Resource == "secrets" && slices.Contains([]string{"create", "update", "patch", "delete"}, r.Verb)
}

const user = "system:serviceaccount:regcred-system:regcred"

func TestOneInstallDoesEverythingAndAnUpgradeCostsNothing(t *testing.T) {
	began := time.Now()
	namespace(t, "upgrade-a", map[string]string{"team": "upgrade"})
	file := values(t, credentials("upgrade", "upgrade"))
	install(t, "regcred-system", "--values", file)
	controller := start(t, "regcred-system", t.Output())
	before := secret(t, "upgrade-a", "upgrade")
	linked(t, "upgrade-a", "upgrade")
	namespace(t, "upgrade-b", map[string]string{"team": "upgrade"})
	secret(t, "upgrade-b", "upgrade")
	ready(t, "upgrade")
	if got := requests(t, user, began, refused); len(got) > 0 {
		t.Errorf("refused to the controller: %+v", got)
	}
	metricsAreGuarded(t, controller)

	upgraded, calls := time.Now(), world.AWS.Calls().Of(cloud.ActionGetAuthorizationToken)
	mustHelm(t, "package", "charts/regcred", "--version", "0.1.1", "--app-version", "0.1.1", "--destination", scratch)
	mustHelm(t, "upgrade", "regcred", scratch+"/regcred-0.1.1.tgz", "--namespace", "regcred-system", "--values", file)
	start(t, "regcred-system", t.Output())
	must(t, controller.Stop())
	// The new one works when it makes good what somebody has broken meanwhile.
	kubectl(t, "", "patch", "serviceaccount", "default", "-n", "upgrade-a", "--type=merge", "-p", `{"imagePullSecrets":null}`)
	linked(t, "upgrade-a", "upgrade")
	for _, r := range requests(t, user, upgraded, writes) {
		t.Errorf("the upgrade costs %s of Secret %s/%s", r.Verb, r.Namespace, r.Name)
	}
	if got := world.AWS.Calls().Of(cloud.ActionGetAuthorizationToken) - calls; got > 0 {
		t.Errorf("the upgrade costs %d calls", got)
	}
	after := secret(t, "upgrade-a", "upgrade")
	if before.UID != after.UID || before.ResourceVersion != after.ResourceVersion {
		t.Error("the upgrade writes a Secret")
	}
}

func ready(t *testing.T, name string) {
	t.Helper()
	eventually(t, name+" to be Ready", func() (bool, error) {
		c := &v1alpha1.ClusterRegistryCredential{}
		err := world.Client.Get(t.Context(), client.ObjectKey{Name: name}, c)
		return err == nil && meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady), err
	})
}

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
		mustHelm(t, "uninstall", "regcred", "--namespace", "regcred-system", "--wait=legacy", "--timeout", "30s")
		must(t, w.controller.Stop())
	}},
}

// installation is one that works, with two namespaces that it serves.
type installation struct {
	controller      *lab.Controller
	doomed, staying string
}

func working(t *testing.T, i int) *installation {
	t.Helper()
	w := &installation{doomed: fmt.Sprintf("doomed-%d", i), staying: fmt.Sprintf("staying-%d", i)}
	name := fmt.Sprintf("order-%d", i)
	for _, ns := range []string{w.doomed, w.staying} {
		namespace(t, ns, map[string]string{"team": name})
	}
	install(t, "regcred-system")
	kubectl(t, "", "wait", "--for=condition=Established", "crd/clusterregistrycredentials.regcred.dev")
	c := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: name}}
	c.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{"team": v1alpha1.LabelValue(name)}
	c.Spec.Registries = []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: "eu-west-1"}}}
	c.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Names: []string{"default"}}
	must(t, world.Client.Create(t.Context(), c))
	w.controller = start(t, "regcred-system", t.Output())
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
var everyOrder = flag.Bool("every-order", false, "try every order of uninstalling")

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
					// As the page on uninstalling says: the release goes when the controller has cleaned up.
					eventually(t, "a link to be removed", func() (bool, error) { return !slices.Contains(links(t, w.staying), name), nil })
				}
			}
			gone(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.doomed}})
			if i == 0 {
				gone(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.staying, Name: name}})
			}
			// A controller that is gone removes nothing: links stay for those who delete it first.
			stay := names[0] == "release" || names[0] == "namespace" && names[1] == "release"
			if got := slices.Contains(links(t, w.staying), name); got != stay {
				t.Errorf("the link is there: %t, want %t", got, stay)
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
	out := kubectl(t, "", "get", "clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings,mutatingadmissionpolicies,mutatingadmissionpolicybindings,flowschemas",
		"-l", "app.kubernetes.io/instance=regcred", "-o", "name")
	if out != "" {
		t.Errorf("left behind: %s", out)
	}
}
