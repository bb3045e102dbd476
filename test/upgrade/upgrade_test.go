// Package upgrade proves that an upgrade from an earlier chart costs no call to a cloud and no write of a token that is not due.
package upgrade

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
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

// before is what somebody had with the earlier version: a cluster-wide credential, and that of a namespace with its login in a Secret that is
// labelled as an identity.
const before = `
{apiVersion: v1, kind: Namespace, metadata: {name: team-a, labels: {regcred.dev/pull: "true"}}}
---
{apiVersion: v1, kind: Secret, metadata: {namespace: team-a, name: own, labels: {regcred.dev/secret: identity}}, stringData: {username: ci, password: canary-own}}
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
`

// world is a cluster with audits, and clouds.
type world struct {
	*testing.T
	*lab.Lab
	scratch string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, scratch: t.TempDir()}
	var err error
	w.Lab, err = lab.StartEmpty(t.Context(), controlplane.Options{ControllerManager: true, AuditLog: filepath.Join(w.scratch, "audit.log")}, cloud.Options{})
	w.must(err)
	t.Cleanup(func() {
		if err := w.Stop(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) run(dir, name string, args ...string) {
	w.Helper()
	cmd := exec.CommandContext(w.Context(), name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		w.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// checkout takes the earlier version from the repository's history, where that is here, and builds its controller.
func (w *world) checkout() (dir, binary string) {
	w.Helper()
	dir, tree := filepath.Join(w.scratch, "earlier"), filepath.Join(w.scratch, "earlier.tar")
	w.must(os.Mkdir(dir, 0o700))
	if exec.CommandContext(w.Context(), "git", "-C", w.Root, "cat-file", "-e", earlier+"^{commit}").Run() != nil {
		w.Skipf("there is no commit %s here, from which to upgrade: in a shallow clone, run git fetch --unshallow", earlier[:7])
	}
	w.run(w.Root, "git", "archive", "--output="+tree, earlier)
	w.run(dir, "tar", "-xf", tree)
	binary = filepath.Join(dir, "bin", "regcred")
	w.run(dir, "go", "build", "-o", binary, "./cmd/regcred")
	return dir, binary
}

func (w *world) apply(text string, args ...string) {
	w.Helper()
	file := filepath.Join(w.scratch, "apply.yaml")
	w.must(os.WriteFile(file, []byte(text), 0o600))
	_, err := w.Kubectl(w.Context(), append([]string{"apply", "-f", file}, args...)...)
	w.must(err)
}

func (w *world) helm(args ...string) string {
	w.Helper()
	out, err := w.Helm(w.Context(), args...)
	w.must(err)
	return out
}

// start runs a binary as the Deployment says.
func (w *world) start(binary string) *lab.Controller {
	w.Helper()
	w.Binary = binary
	c, err := w.StartDeployed(w.Context(), lab.Namespace, w.Output())
	w.must(err)
	return c
}

func (w *world) eventually(what string, done func() bool) {
	w.Helper()
	err := wait.PollUntilContextTimeout(w.Context(), 25*time.Millisecond, patience, true, func(context.Context) (bool, error) { return done(), nil })
	if err != nil {
		w.Fatalf("waited in vain for %s: %v", what, err)
	}
}

// served says whether the namespace holds both Secrets, linked to the ServiceAccount.
func (w *world) served(account string) func() bool {
	return func() bool {
		w.Helper()
		sa := &corev1.ServiceAccount{}
		if w.Client.Get(w.Context(), client.ObjectKey{Namespace: team, Name: account}, sa) != nil {
			return false
		}
		for _, name := range []string{"shared", "private"} {
			linked := slices.ContainsFunc(sa.ImagePullSecrets, func(r corev1.LocalObjectReference) bool { return r.Name == name })
			if !linked || w.Client.Get(w.Context(), client.ObjectKey{Namespace: team, Name: name}, &corev1.Secret{}) != nil {
				return false
			}
		}
		return true
	}
}

// versions are those of all that the credentials have put into the namespace.
func (w *world) versions() map[string]string {
	w.Helper()
	versions := map[string]string{}
	for _, o := range []client.Object{
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: "shared"}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: "private"}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: "default"}},
	} {
		w.must(w.Client.Get(w.Context(), client.ObjectKeyFromObject(o), o))
		versions[o.GetName()] = string(o.GetUID()) + "/" + o.GetResourceVersion()
	}
	return versions
}

func TestAnUpgradeFromAnEarlierChartCostsNothing(t *testing.T) {
	w := newWorld(t)
	dir, binary := w.checkout()
	w.helm("install", "regcred", filepath.Join(dir, "charts", "regcred"), "--namespace", lab.Namespace, "--create-namespace", "--set", "metrics.secure=false")
	w.apply(before)
	old := w.start(binary)
	w.eventually("the earlier version to serve", w.served("default"))

	// As docs/upgrading.md says.
	w.apply(w.helm("show", "crds", "charts/regcred"), "--server-side", "--force-conflicts")
	w.must(old.Stop())
	had, began, calls := w.versions(), time.Now(), w.AWS.Calls().Of(cloud.ActionGetAuthorizationToken)
	w.helm("upgrade", "regcred", "charts/regcred", "--namespace", lab.Namespace, "--set", "metrics.secure=false")
	w.start(filepath.Join(w.Root, "bin", "regcred"))
	// A ServiceAccount that comes later shows that both credentials are served.
	w.must(w.Client.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: "late"}}))
	w.eventually("the new version to serve", w.served("late"))
	// So does an identity that changes. Its Secret alone is written: a login without an end has none that could be awaited.
	login := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: "own"}}
	w.must(w.Client.Patch(t.Context(), login, client.RawPatch("application/merge-patch+json", []byte(`{"stringData":{"password":"canary-next"}}`))))
	w.eventually("a labelled identity that changes to be noticed", func() bool {
		s := &corev1.Secret{}
		w.must(w.Client.Get(t.Context(), client.ObjectKey{Namespace: team, Name: "private"}, s))
		return strings.Contains(decoded(t, s), "canary-next")
	})

	if got := w.AWS.Calls().Of(cloud.ActionGetAuthorizationToken) - calls; got > 0 {
		t.Errorf("the upgrade costs %d calls", got)
	}
	for _, write := range w.writes(began) {
		if !strings.HasSuffix(write, " serviceaccounts team-a/late") && !strings.HasSuffix(write, " secrets team-a/private") {
			t.Errorf("the upgrade costs %s", write)
		}
	}
	has := w.versions()
	delete(had, "private")
	delete(has, "private")
	if !maps.Equal(has, had) {
		t.Errorf("the upgrade changes %v to %v", had, has)
	}
}

// writes are the controller's writes of Secrets and ServiceAccounts since then.
func (w *world) writes(since time.Time) []string {
	w.Helper()
	written, err := w.AuditRequests(since, func(r controlplane.AuditRequest) bool {
		return r.User == user && (r.Resource == "secrets" || r.Resource == "serviceaccounts") && slices.Contains([]string{"create", "update", "patch", "delete"}, r.Verb)
	})
	w.must(err)
	var all []string
	for _, r := range written {
		all = append(all, r.Verb+" "+r.Resource+" "+r.Namespace+"/"+r.Name)
	}
	return all
}

// decoded are the logins of a Secret.
func decoded(t *testing.T, s *corev1.Secret) string {
	t.Helper()
	var config struct {
		Auths map[string]struct {
			Auth string `json:"auth"`
		} `json:"auths"`
	}
	if err := json.Unmarshal(s.Data[corev1.DockerConfigJsonKey], &config); err != nil {
		t.Fatal("the content is not a docker config")
	}
	var all []string
	for _, login := range config.Auths {
		plain, err := base64.StdEncoding.DecodeString(login.Auth)
		if err != nil {
			t.Fatal("auth is not base64")
		}
		all = append(all, string(plain))
	}
	return strings.Join(all, " ")
}
