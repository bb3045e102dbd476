package controlplane_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/regcred/regcred/test/controlplane"
)

var shared *controlplane.ControlPlane

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "regcred-audit-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()

	opts := controlplane.Options{ControllerManager: true, AuditLog: filepath.Join(dir, "audit.log")}
	code := controlplane.RunTests(m, opts, func(cp *controlplane.ControlPlane) { shared = cp })
	if shared == nil {
		return code
	}
	if left := processesNaming(filepath.Dir(shared.Kubeconfig())); len(left) > 0 {
		fmt.Fprintln(os.Stderr, "still running after Stop:", left)
		return 1
	}
	return code
}

func TestNamespaceGetsDefaultServiceAccountAndEnds(t *testing.T) {
	clients := clientsOf(t, shared.Config)
	namespace := createNamespace(t, clients)

	awaitEvent(t, watch.Added, clients.CoreV1().ServiceAccounts(namespace).Watch, "default")
	awaitEvent(t, watch.Added, clients.CoreV1().ConfigMaps(namespace).Watch, "kube-root-ca.crt")

	if err := clients.CoreV1().Namespaces().Delete(t.Context(), namespace, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitEvent(t, watch.Deleted, clients.CoreV1().Namespaces().Watch, namespace)
}

func TestTokenRequestGivesTokenThatTheAPIServerAccepts(t *testing.T) {
	clients := clientsOf(t, shared.Config)
	namespace := createNamespace(t, clients)
	awaitEvent(t, watch.Added, clients.CoreV1().ServiceAccounts(namespace).Watch, "default")

	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"sts.amazonaws.com"}}}
	token, err := clients.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), "default", request, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{
		Token: token.Status.Token, Audiences: request.Spec.Audiences,
	}}
	review, err = clients.AuthenticationV1().TokenReviews().Create(t.Context(), review, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if want := "system:serviceaccount:" + namespace + ":default"; !review.Status.Authenticated || review.Status.User.Username != want {
		t.Errorf("token authenticates as %+v, want %s", review.Status, want)
	}
}

func TestOwnedObjectIsCollectedWithItsOwner(t *testing.T) {
	clients := clientsOf(t, shared.Config)
	maps := clients.CoreV1().ConfigMaps(createNamespace(t, clients))
	owner, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owner"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	owned := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owned", OwnerReferences: []metav1.OwnerReference{
		{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID},
	}}}
	if _, err := maps.Create(t.Context(), owned, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := maps.Delete(t.Context(), owner.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitEvent(t, watch.Deleted, maps.Watch, owned.Name)
}

func TestAuditRequestsAreCountedPerClient(t *testing.T) {
	config := rest.CopyConfig(shared.Config)
	config.UserAgent = "counted"
	clients := clientsOf(t, config)
	before := time.Now()

	namespace := createNamespace(t, clients)
	open, err := clients.CoreV1().Secrets(namespace).Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Stop()
	if _, err := clients.CoreV1().Secrets(namespace).Get(t.Context(), "absent", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Fatalf("got %v, want not found", err)
	}

	requests, err := shared.AuditRequests(before, func(r controlplane.AuditRequest) bool { return r.UserAgent == "counted" })
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if len(requests) == 0 {
		t.Fatal("the audit log has no request of this client")
	}
	for _, r := range requests {
		got = append(got, fmt.Sprintln(r.User, r.Verb, r.Resource, r.Namespace, r.Name, r.Code))
	}
	want := []string{
		fmt.Sprintln("admin", "create", "namespaces", requests[0].Namespace, requests[0].Name, 201),
		fmt.Sprintln("admin", "watch", "secrets", namespace, "", 200),
		fmt.Sprintln("admin", "get", "secrets", namespace, "absent", 404),
	}
	if strings.Join(got, "") != strings.Join(want, "") {
		t.Errorf("audit log has\n%s, want\n%s", got, want)
	}
	later, err := shared.AuditRequests(time.Now(), func(r controlplane.AuditRequest) bool { return r.UserAgent == "counted" })
	if err != nil || len(later) > 0 {
		t.Errorf("requests since now: %v, %v", later, err)
	}
}

func TestAddUserGivesNoRights(t *testing.T) {
	config, kubeconfig, err := shared.AddUser("nobody:in/particular", []string{"guests"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clientsOf(t, config).CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("listing namespaces: %v, want forbidden", err)
	}
	who, err := shared.Kubectl(t.Context(), "--kubeconfig="+kubeconfig, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
	if err != nil || string(who) != "nobody:in/particular" {
		t.Errorf("whoami: %q, %v", who, err)
	}
}

func TestKubectlErrorHoldsStderr(t *testing.T) {
	_, err := shared.Kubectl(t.Context(), "get", "namespace", "absent")
	if err == nil || !strings.Contains(err.Error(), "NotFound") {
		t.Errorf("got %v, want NotFound", err)
	}
}

func TestStartSaysWhyTheAPIServerDidNot(t *testing.T) {
	flags := map[string][]string{"runtime-config": {"nonsense=perhaps"}}
	_, err := controlplane.Start(t.Context(), controlplane.Options{APIServerFlags: flags})
	if err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("got %v, want the API server's own words", err)
	}
}

func TestStartSaysHowToGetMissingBinaries(t *testing.T) {
	t.Setenv("KUBEBUILDER_ASSETS", "")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	_, err := controlplane.Start(t.Context(), controlplane.Options{})
	if err == nil || !strings.Contains(err.Error(), "run make test, or go run ./test/controlplane/install etcd kube-apiserver kubectl") {
		t.Errorf("got %v, want the way to get the binaries", err)
	}
}

func clientsOf(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return clients
}

func createNamespace(t *testing.T, clients *kubernetes.Clientset) string {
	t.Helper()
	namespace, err := clients.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}

type watchFunc func(context.Context, metav1.ListOptions) (watch.Interface, error)

// awaitEvent waits until the named object has had an event of the type; a watch begins with an Added for what is there.
// An object that is gone already has been Deleted.
func awaitEvent(t *testing.T, want watch.EventType, start watchFunc, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	selector := fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	events, err := start(ctx, metav1.ListOptions{FieldSelector: selector, SendInitialEvents: new(true),
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan, AllowWatchBookmarks: true})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Stop()
	seen := false
	for event := range events.ResultChan() {
		if event.Type == want || event.Type == watch.Bookmark && want == watch.Deleted && !seen {
			return
		}
		seen = true
	}
	t.Fatalf("%s has not been %s in time", name, want)
}

// processesNaming lists the processes with the path in their command line; only Linux can say.
func processesNaming(path string) []string {
	if runtime.GOOS != "linux" {
		return nil
	}
	var found []string
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		if content, err := os.ReadFile(file); err == nil && strings.Contains(string(content), path) {
			found = append(found, strings.ReplaceAll(string(content), "\x00", " "))
		}
	}
	return found
}

func TestAuditReaderGivesEveryRequestOnce(t *testing.T) {
	config := rest.CopyConfig(shared.Config)
	config.UserAgent = "followed"
	clients := clientsOf(t, config)
	reader, err := shared.FollowAudit()
	if err != nil {
		t.Fatal(err)
	}
	next := func() (verbs []string) {
		t.Helper()
		requests, err := reader.Next()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range requests {
			if r.UserAgent == "followed" {
				verbs = append(verbs, r.Verb)
			}
		}
		return verbs
	}
	namespace := createNamespace(t, clients)
	open, err := clients.CoreV1().Secrets(namespace).Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := next(); !slices.Equal(got, []string{"create", "watch"}) {
		t.Errorf("first %q, want create and watch", got)
	}
	open.Stop()
	if _, err := clients.CoreV1().Secrets(namespace).List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := next(); !slices.Equal(got, []string{"list"}) {
		t.Errorf("then %q, want the list alone: the watch was there before", got)
	}
}
