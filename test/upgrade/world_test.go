package upgrade

import (
	"context"
	"encoding/json"
	"fmt"
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
	w.must(w.AWS.AddRole(cloud.Role{ARN: "arn:aws:iam::123456789012:role/puller", MayGetToken: true, Pull: []string{"*"},
		WebIdentity: &cloud.WebIdentity{Subject: "system:serviceaccount:" + team + ":puller", Audience: "sts.amazonaws.com"}}))
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

// checkout takes the earlier version from the repository's history, where that is here (with REGCRED_WHOLE_HISTORY it must be), and builds its controller.
func (w *world) checkout() (dir, binary string) {
	w.Helper()
	dir, tree := filepath.Join(w.scratch, "earlier"), filepath.Join(w.scratch, "earlier.tar")
	w.must(os.Mkdir(dir, 0o700))
	if exec.CommandContext(w.Context(), "git", "-C", w.Root, "cat-file", "-e", earlier+"^{commit}").Run() != nil {
		missing := fmt.Sprintf("there is no commit %s here, from which to upgrade: in a shallow clone, run git fetch --unshallow", earlier)
		if os.Getenv("REGCRED_WHOLE_HISTORY") != "" {
			w.Fatal(missing)
		}
		w.Skip(missing)
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
	ctx, cancel := w.Within(w.Context(), patience)
	defer cancel()
	err := wait.PollUntilContextCancel(ctx, 25*time.Millisecond, true, func(context.Context) (bool, error) { return done(), nil })
	if err != nil {
		w.Fatalf("waited in vain for %s: %v", what, context.Cause(ctx))
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
		for _, name := range names {
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
	objects := []client.Object{&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: "default"}}}
	for _, name := range names {
		objects = append(objects, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: name}})
	}
	versions := map[string]string{}
	for _, o := range objects {
		w.must(w.Client.Get(w.Context(), client.ObjectKeyFromObject(o), o))
		versions[o.GetName()] = string(o.GetUID()) + "/" + o.GetResourceVersion()
	}
	return versions
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

func (w *world) secret(name string) *corev1.Secret {
	w.Helper()
	s := &corev1.Secret{}
	w.must(w.Client.Get(w.Context(), client.ObjectKey{Namespace: team, Name: name}, s))
	return s
}

// logins are those of a Secret, by host.
func (w *world) logins(name string) map[string]string {
	w.Helper()
	var config struct {
		Auths map[string]struct {
			Auth []byte `json:"auth"`
		} `json:"auths"`
	}
	if err := json.Unmarshal(w.secret(name).Data[corev1.DockerConfigJsonKey], &config); err != nil {
		w.Fatal("the content is not a docker config")
	}
	all := map[string]string{}
	for host, login := range config.Auths {
		all[host] = string(login.Auth)
	}
	return all
}
