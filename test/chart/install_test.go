package chart

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
)

// installCRDs installs the definitions by the chart of their own.
func installCRDs(t *testing.T) {
	t.Helper()
	mustHelm(t, "upgrade", "--install", "regcred-crds", "charts/regcred-crds", "--namespace", "regcred-crds", "--create-namespace", "--take-ownership")
	uninstallAfter(t, "regcred-crds", "regcred-crds")
}

// credentials are values with one cluster-wide credential for the namespaces with the label.
func credentials(name, label string) string {
	return fmt.Sprintf(`{"credentialsKeep":false,"credentials":[{"name":%q,"spec":{"namespaceSelector":{"matchLabels":{"team":%q}},`+
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
	install(t, "regcred-system", "--values", file, "--set", "metrics.scrapers[0].namespace=monitoring,metrics.scrapers[0].name=prometheus")
	controller := start(t, "regcred-system")
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
	start(t, "regcred-system")
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
