package cases

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/lab"
)

const (
	// patience bounds a failing test; no passing one waits for it.
	patience = 60 * time.Second
	// quiet is how long nothing must happen.
	quiet = 2 * time.Second
)

var (
	world      *lab.Lab
	controller *lab.Controller
)

func TestMain(m *testing.M) { os.Exit(lab.RunTests(m, start)) }

func start(ctx context.Context, s *lab.Suite) (err error) {
	world, err = lab.Start(ctx, controlplane.Options{ControllerManager: true, MoreControllers: []string{"resourcequota-controller"}}, cloud.Options{})
	if err != nil {
		return err
	}
	s.Stops(world.Stop)
	log, err := os.Create(filepath.Join(world.Root, "bin", "cases-controller.log"))
	if err != nil {
		return err
	}
	controller, err = world.StartController(ctx, log)
	return errors.Join(err, log.Close())
}

// kubectl is what people type.
func kubectl(t *testing.T, args ...string) {
	t.Helper()
	if _, err := world.Kubectl(t.Context(), args...); err != nil {
		t.Fatal(err)
	}
}

func apply(t *testing.T, file string) {
	t.Helper()
	kubectl(t, "apply", "-f", filepath.Join("testdata", file))
}

// typed is a file with this content.
func typed(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "typed.yaml")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := world.Within(t.Context(), patience)
	defer cancel()
	err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(context.Context) (bool, error) { return done(), nil })
	if err != nil {
		t.Fatalf("waited in vain for %s: %v", what, context.Cause(ctx))
	}
}

func get[T client.Object](t *testing.T, o T, namespace, name string) (T, bool) {
	t.Helper()
	err := world.Client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, o)
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	return o, err == nil
}

// secret waits until a Secret is as wanted.
func secret(t *testing.T, namespace, name string, wanted func(*corev1.Secret) bool) (s *corev1.Secret) {
	t.Helper()
	eventually(t, "Secret "+namespace+"/"+name, func() bool {
		var found bool
		s, found = get(t, &corev1.Secret{}, namespace, name)
		return found && wanted(s)
	})
	return s
}

func published(s *corev1.Secret) bool { return len(s.Data[corev1.DockerConfigJsonKey]) > 0 }

func linked(t *testing.T, namespace, account, secret string) bool {
	t.Helper()
	sa, _ := get(t, &corev1.ServiceAccount{}, namespace, account)
	return slices.Contains(sa.ImagePullSecrets, corev1.LocalObjectReference{Name: secret})
}

// rest lets a window of real time pass, in which nothing is to happen.
func rest(t *testing.T) {
	t.Helper()
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

// fails is an event of the kubelet about a pod.
func fails(t *testing.T, namespace, pod, message string) {
	t.Helper()
	p, found := get(t, &corev1.Pod{}, namespace, pod)
	if !found {
		t.Fatalf("there is no pod %s", pod)
	}
	now := metav1.Now()
	err := world.Client.Create(t.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: namespace, GenerateName: pod + "."},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: namespace, Name: pod, UID: p.UID, FieldPath: "spec.containers{a}"},
		Reason:         "Failed", Message: message, Type: corev1.EventTypeWarning,
		Source: corev1.EventSource{Component: "kubelet"}, ReportingController: "kubelet", FirstTimestamp: now, LastTimestamp: now, Count: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// told waits for an event about a pod, and returns what it says.
func told(t *testing.T, namespace, pod, reason string) (message string) {
	t.Helper()
	eventually(t, "an event "+reason, func() bool {
		list := &corev1.EventList{}
		if err := world.Client.List(t.Context(), list, client.InNamespace(namespace), client.MatchingFields{"involvedObject.name": pod, "reason": reason}); err != nil {
			t.Fatal(err)
		}
		for _, e := range list.Items {
			message = e.Message
		}
		return len(list.Items) > 0
	})
	return message
}

// F01: a source by the name of the Secret that it is for.
func TestWhatIsWrittenIsNotAlsoRead(t *testing.T) {
	out, err := world.Kubectl(t.Context(), "apply", "-f", filepath.Join("testdata", "F01", "a-namespaced.yaml"))
	if err == nil || !strings.Contains(err.Error(), "secretRef") {
		t.Errorf("a credential that reads what it writes is taken: %s, %v", out, err)
	}
	source, _ := get(t, &corev1.Secret{}, "case-f01", "regcred")
	slots := sources(t)
	apply(t, "F01/b-cluster.yaml")
	home, _ := get(t, &corev1.Secret{}, lab.Namespace, "docker-hub")
	target := secret(t, "case-f01", "docker-hub", published)
	kubectl(t, "annotate", "secret", "-n", lab.Namespace, "docker-hub", "regcred.dev/adopt=true")
	annotated, _ := get(t, &corev1.Secret{}, lab.Namespace, "docker-hub")
	rest(t)
	for _, before := range []*corev1.Secret{source, annotated, target} {
		if after, _ := get(t, &corev1.Secret{}, before.Namespace, before.Name); after.ResourceVersion != before.ResourceVersion || after.UID != before.UID {
			t.Errorf("%s/%s was written", before.Namespace, before.Name)
		}
	}
	if home.UID != annotated.UID {
		t.Error("the source was replaced")
	}
	if more := sources(t) - slots; more > 1 {
		t.Errorf("one login is %d sources", more)
	}
	// All others are served, and only the controller's own namespace is told of.
	eventually(t, "the conflict to be told", func() bool {
		c, _ := get(t, &v1alpha1.ClusterRegistryCredential{}, "", "docker-hub")
		ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
		return ready != nil && ready.Reason == v1alpha1.ReasonPartial && len(c.Status.Failures) == 1 && slices.Equal(c.Status.Failures[0].Namespaces, []string{lab.Namespace}) &&
			c.Status.Failures[0].Reason == v1alpha1.ReasonSecretConflict
	})
	kubectl(t, "delete", "clusterregistrycredential", "docker-hub")
	eventually(t, "the Secrets to go", func() bool { _, found := get(t, &corev1.Secret{}, "case-f01", "docker-hub"); return !found })
}

// F02: keys as `echo KEY | base64` makes them, and a neighbour with good ones.
func TestKeysWithALineFeed(t *testing.T) {
	world.AWS.AddUser(cloud.User{Account: cloud.DefaultAccount, Name: "case", AccessKeyID: "AKIAIOSFODNN7EXAMPLE",
		SecretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", MayGetToken: true})
	apply(t, "F02/case.yaml")
	apply(t, "F02/neighbour.yaml")
	secret(t, "case-f02", "newline", published)
	secret(t, "case-f02-neighbour", "good", published)
}

// F03: a namespace whose quota of Secrets is used up.
func TestAFullQuotaStopsNoRepair(t *testing.T) {
	apply(t, "F03/1-credential.yaml")
	secret(t, "case-f03", "images", published)
	apply(t, "F03/2-quota.yaml")
	full := func(namespace string) {
		eventually(t, "the quota to be full", func() bool {
			q, _ := get(t, &corev1.ResourceQuota{}, namespace, "full")
			used, hard := q.Status.Used["count/secrets"], q.Status.Hard["count/secrets"]
			return !hard.IsZero() && used.Cmp(hard) == 0
		})
	}
	full("case-f03")
	kubectl(t, "label", "secret", "-n", "case-f03", "images", "regcred.dev/secret-")
	secret(t, "case-f03", "images", func(s *corev1.Secret) bool { return s.Labels[v1alpha1.LabelSecret] != "" })

	// The same where a Secret of somebody else is there already.
	const foreign = "case-f03-foreign"
	elsewhere := func(file string) string {
		return typed(t, strings.ReplaceAll(strings.ReplaceAll(string(read(t, file)), "name: case-f03}", "name: "+foreign+"}"), "namespace: case-f03", "namespace: "+foreign))
	}
	kubectl(t, "create", "namespace", foreign)
	kubectl(t, "create", "secret", "generic", "images", "-n", foreign, "--from-literal=a=b")
	kubectl(t, "apply", "-f", elsewhere("F03/1-credential.yaml"))
	kubectl(t, "apply", "-f", elsewhere("F03/2-quota.yaml"))
	full(foreign)
	eventually(t, "the conflict to be told", func() bool {
		c, _ := get(t, &v1alpha1.RegistryCredential{}, foreign, "images")
		ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
		return ready != nil && ready.Reason == v1alpha1.ReasonSecretConflict
	})
	kubectl(t, "delete", "secret", "-n", foreign, "images")
	kubectl(t, "create", "secret", "docker-registry", "images", "-n", foreign, "--docker-username=a", "--docker-password=b")
	kubectl(t, "annotate", "secret", "-n", foreign, "images", "regcred.dev/adopt=true")
	kubectl(t, "annotate", "registrycredential", "-n", foreign, "images", "regcred.dev/refresh-requested-at=now") // or it is seen within two minutes
	secret(t, foreign, "images", func(s *corev1.Secret) bool { return s.Labels[v1alpha1.LabelSecret] != "" })
}

// F06: a password that only a person can replace, and that the registry has revoked, in twenty namespaces.
func TestARevokedPasswordOfAPerson(t *testing.T) {
	world.DockerHub.AddUser(cloud.HubUser{Name: "case-bot", Pull: []string{"team/*"}})
	versions := map[string]string{}
	for i := range 20 {
		ns := fmt.Sprintf("case-f06-%d", i)
		kubectl(t, "create", "namespace", ns)
		kubectl(t, "label", "namespace", ns, "case=f06")
		versions[ns] = ""
	}
	apply(t, "F06/case.yaml")
	for ns := range versions {
		versions[ns] = secret(t, ns, "case-f06", published).ResourceVersion
		eventually(t, "the link of "+ns, func() bool { return linked(t, ns, "default", "case-f06") })
	}
	kubectl(t, "run", "app", "-n", "case-f06-0", "--image=docker.io/team/app")
	fails(t, "case-f06-0", "app", `Failed to pull image "docker.io/team/app": failed to resolve reference: unexpected status: 401 Unauthorized`)
	const cure = "replace it in Secret regcred-system/hub-pat"
	if got := told(t, "case-f06-0", "app", v1alpha1.CauseTokenRefused); !strings.Contains(got, cure) || strings.Contains(got, "it is replaced") {
		t.Errorf("told: %s", got)
	}
	eventually(t, "Ready to say so", func() bool {
		c, _ := get(t, &v1alpha1.ClusterRegistryCredential{}, "", "case-f06")
		ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
		return ready != nil && ready.Status == metav1.ConditionFalse && ready.Reason == v1alpha1.ReasonTokenRefused && strings.Contains(ready.Message, cure)
	})
	rest(t)
	for ns, before := range versions {
		if s, _ := get(t, &corev1.Secret{}, ns, "case-f06"); s.ResourceVersion != before {
			t.Errorf("the Secret of %s was written", ns)
		}
	}
	kubectl(t, "patch", "secret", "hub-pat", "-n", lab.Namespace, "-p", `{"stringData":{"password":"`+world.DockerHub.AddUser(cloud.HubUser{Name: "case-bot", Pull: []string{"team/*"}})+`"}}`)
	for ns, before := range versions {
		secret(t, ns, "case-f06", func(s *corev1.Secret) bool { return s.ResourceVersion != before })
	}
	eventually(t, "Ready to be true again", func() bool {
		c, _ := get(t, &v1alpha1.ClusterRegistryCredential{}, "", "case-f06")
		return meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady)
	})
}

// F07: the registry limits those who come without a login.
func TestALimitForThoseWithoutALogin(t *testing.T) {
	apply(t, "F07/case.yaml")
	secret(t, "case-f07", "hub", published)
	fails(t, "case-f07", "anonymous", strings.TrimSpace(string(read(t, "F07/event.txt"))))
	if got := told(t, "case-f07", "anonymous", v1alpha1.CauseNotLinked); !strings.Contains(got, "ServiceAccount default is not among serviceAccounts") {
		t.Errorf("told: %s", got)
	}
}
