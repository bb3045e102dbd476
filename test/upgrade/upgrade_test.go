// Package upgrade proves that an upgrade from an earlier chart costs no call to a cloud and no write of a token that is not due.
package upgrade

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/lab"
)

const (
	// earlier is the last version whose records, labels and fields were others.
	earlier = "9e2d1b89016cc25305f59bfa7027abc379bf1a9b"
	team    = "team-a"
	user    = "system:serviceaccount:regcred-system:regcred"
	// patience bounds a failing test; no passing one waits for it.
	patience = 60 * time.Second
)

// before is what somebody had with the earlier version: a cluster-wide credential, and those of a namespace: with its login in a Secret that is
// labelled as an identity, with the role of a ServiceAccount, and with both in one Secret.
const before = `
{apiVersion: v1, kind: Namespace, metadata: {name: team-a, labels: {regcred.dev/pull: "true"}}}
---
{apiVersion: v1, kind: Secret, metadata: {namespace: team-a, name: own, labels: {regcred.dev/secret: identity}}, stringData: {username: ci, password: canary-own}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {namespace: team-a, name: puller, annotations: {eks.amazonaws.com/role-arn: "arn:aws:iam::123456789012:role/puller"}}}
---
apiVersion: regcred.dev/v1alpha1
kind: ClusterRegistryCredential
metadata: {name: shared}
spec:
  namespaceSelector: {matchLabels: {regcred.dev/pull: "true"}}
  registries:
  - {name: prod, ecr: {region: eu-west-1}}
  serviceAccounts: {selector: {}}
---
apiVersion: regcred.dev/v1alpha1
kind: RegistryCredential
metadata: {namespace: team-a, name: private}
spec:
  registries:
  - {name: own, static: {host: registry.example.com}, identity: {secretRef: {name: own}}}
  serviceAccounts: {selector: {}}
---
apiVersion: regcred.dev/v1alpha1
kind: RegistryCredential
metadata: {namespace: team-a, name: role}
spec:
  registries:
  - {name: team, ecr: {region: eu-central-1}, identity: {serviceAccountRef: {name: puller}}}
  serviceAccounts: {selector: {}}
---
apiVersion: regcred.dev/v1alpha1
kind: RegistryCredential
metadata: {namespace: team-a, name: mixed}
spec:
  registries:
  - {name: team, ecr: {region: eu-west-1}, identity: {serviceAccountRef: {name: puller}}}
  - {name: own, static: {host: registry.example.com}, identity: {secretRef: {name: own}}}
  serviceAccounts: {selector: {}}
`

// names are those of the credentials and of their Secrets.
var names = []string{"shared", "private", "role", "mixed"}

func TestAnUpgradeFromAnEarlierChartCostsNothing(t *testing.T) {
	w := newWorld(t)
	dir, binary := w.checkout()
	w.helm("install", "regcred", filepath.Join(dir, "charts", "regcred"), "--namespace", lab.Namespace, "--create-namespace", "--set", "metrics.secure=false")
	w.apply(before)
	old := w.start(binary)
	w.eventually("the earlier version to serve", w.served("default"))
	w.wroteAsRecorded()

	// As docs/upgrading.md says.
	w.apply(w.helm("show", "crds", "charts/regcred"), "--server-side", "--force-conflicts")
	w.must(old.Stop())
	w.upgradeCostsNothing()
}

// TestAnUpgradeFromWhatWasWrittenCostsNothing needs no earlier version, only what it has written.
func TestAnUpgradeFromWhatWasWrittenCostsNothing(t *testing.T) {
	w := newWorld(t)
	w.apply(w.helm("show", "crds", "charts/regcred"), "--server-side")
	_, err := w.Kubectl(t.Context(), "wait", "--for=condition=Established", "crd", "--all")
	w.must(err)
	w.apply(before)
	w.writeAsRecorded()
	w.upgradeCostsNothing()
}

// upgradeCostsNothing installs the present chart and starts its controller. A Secret with a login that never ends is the exception: it is
// written at once, since nothing would ever be due of it, and the tokens beside the login stay.
func (w *world) upgradeCostsNothing() {
	w.Helper()
	const host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
	had, began, calls := w.versions(), time.Now(), w.AWS.Calls().Of(cloud.ActionGetAuthorizationToken)
	token := w.logins("mixed")[host]
	w.helm("upgrade", "--install", "regcred", "charts/regcred", "--namespace", lab.Namespace, "--create-namespace", "--set", "metrics.secure=false")
	w.start(filepath.Join(w.Root, "bin", "regcred"))
	// A ServiceAccount that comes later shows that all credentials are served.
	w.must(w.Client.Create(w.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: "late"}}))
	w.eventually("the new version to serve", w.served("late"))
	// So does an identity that changes.
	login := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: "own"}}
	w.must(w.Client.Patch(w.Context(), login, client.RawPatch("application/merge-patch+json", []byte(`{"stringData":{"password":"canary-next"}}`))))
	for _, name := range []string{"private", "mixed"} {
		w.eventually("a labelled identity that changes to be noticed in "+name, func() bool {
			return strings.Contains(w.logins(name)["registry.example.com"], "canary-next")
		})
	}

	if got := w.AWS.Calls().Of(cloud.ActionGetAuthorizationToken) - calls; got > 0 {
		w.Errorf("the upgrade costs %d calls", got)
	}
	allowed := []string{"serviceaccounts " + team + "/late", "secrets " + team + "/private", "secrets " + team + "/mixed"}
	for _, write := range w.writes(began) {
		if _, what, _ := strings.Cut(write, " "); !slices.Contains(allowed, what) {
			w.Errorf("the upgrade costs %s", write)
		}
	}
	if w.logins("mixed")[host] != token || token == "" {
		w.Error("the token beside a login that never ends is not the one that was there")
	}
	has := w.versions()
	for _, written := range []string{"private", "mixed"} {
		delete(had, written)
		delete(has, written)
	}
	if !maps.Equal(has, had) {
		w.Errorf("the upgrade changes %v to %v", had, has)
	}
}
