package wiring

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/lab"
)

// pullingPod is created as its owner, a ConfigMap that stands for a ReplicaSet, would create it.
func pullingPod(t *testing.T, namespace, name, image string, owner client.Object) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	pod.Spec.Containers = []corev1.Container{{Name: "app", Image: image}}
	if owner != nil {
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: owner.GetName(), UID: owner.GetUID(), Controller: new(true)}}
	}
	create(t, pod)
	return pod
}

// kubeletSays makes an event of the pod as the kubelet does.
func kubeletSays(t *testing.T, pod *corev1.Pod, reason, message string) {
	t.Helper()
	now := metav1.Now()
	create(t, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: pod.Namespace, GenerateName: pod.Name + "."},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, FieldPath: "spec.containers{app}"},
		Reason:         reason, Message: message, Type: corev1.EventTypeWarning,
		Source: corev1.EventSource{Component: "kubelet", Host: "node-1"}, ReportingController: "kubelet", ReportingInstance: "node-1",
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
	})
}

// pullFails is what the kubelet says of a pull that containerd reports like this.
func pullFails(t *testing.T, pod *corev1.Pod, status string) {
	t.Helper()
	image := pod.Spec.Containers[0].Image
	kubeletSays(t, pod, "Failed", fmt.Sprintf("Failed to pull image %q: rpc error: code = Unknown desc = failed to pull and unpack image %q: "+
		"failed to resolve reference %q: pulling from host registry failed with status code [manifests v1]: %s", image, image, image, status))
}

// eventOf waits for an event on an object.
func eventOf(t *testing.T, namespace, name, reason string) *corev1.Event {
	t.Helper()
	ctx, cancel := world.Within(t.Context(), patience)
	defer cancel()
	w, err := world.Client.Watch(t.Context(), &corev1.EventList{}, client.InNamespace(namespace),
		client.MatchingFields{"involvedObject.name": name, "reason": reason})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	select {
	case e := <-w.ResultChan():
		if event, ok := e.Object.(*corev1.Event); ok {
			return event
		}
		t.Fatalf("%s/%s: %v", namespace, name, e.Object)
	case <-ctx.Done():
		t.Fatalf("%s/%s: waited in vain for an event %s: %v", namespace, name, reason, context.Cause(ctx))
	}
	panic("unreachable")
}

func passwordFor(t *testing.T, s *corev1.Secret, host string) string {
	t.Helper()
	var config struct {
		Auths map[string]struct{ Auth []byte }
	}
	if err := json.Unmarshal(s.Data[corev1.DockerConfigJsonKey], &config); err != nil {
		t.Fatal("the content is not a docker config")
	}
	_, password, ok := bytes.Cut(config.Auths[host].Auth, []byte(":"))
	if !ok {
		t.Fatalf("no login for %s", host)
	}
	return string(password)
}

func TestAPullThatFailsForARevokedTokenIsHealed(t *testing.T) {
	const region, registry = "eu-north-1", "123456789012.dkr.ecr.eu-north-1.amazonaws.com"
	create(t, credential("heals", region))
	for _, name := range []string{"heals-1", "heals-2"} {
		create(t, namespace(name, map[string]string{"team": "heals"}))
	}
	before := secret(t, "heals-1", "heals", "the Secret", anySecret)
	other := secret(t, "heals-2", "heals", "the Secret", anySecret)
	linked(t, "heals-1", "default", "heals", true)
	if !world.AWS.Revoke(passwordFor(t, before, registry)) {
		t.Fatal("there is no such token")
	}
	pod := pullingPod(t, "heals-1", "app", registry+"/team/app:v1", nil)
	minted := mints()
	pullFails(t, pod, "403 Forbidden")
	for _, old := range []*corev1.Secret{before, other} {
		after := secret(t, old.Namespace, "heals", "a token in place of the revoked one", func(s *corev1.Secret) bool {
			return !bytes.Equal(s.Data[corev1.DockerConfigJsonKey], old.Data[corev1.DockerConfigJsonKey])
		})
		if after.UID != old.UID {
			t.Errorf("%s: the Secret was replaced", old.Namespace)
		}
		if err := pull(t, after); err != nil {
			t.Errorf("%s: the Secret does not pull: %v", old.Namespace, err)
		}
	}
	if got := mints() - minted; got != 1 {
		t.Errorf("%d tokens minted for two namespaces, want 1", got)
	}
	for place, name := range map[string]string{"heals-1": "app", "default": "heals"} {
		if e := eventOf(t, place, name, v1alpha1.CauseTokenRefused); !strings.Contains(e.Message, "HTTP status 403, DENIED") || e.Type != corev1.EventTypeWarning {
			t.Errorf("%s %s: %s", e.Type, e.Reason, e.Message)
		}
	}
	eventOf(t, "default", "heals", "Rotated")
}

func TestAPullThatFailsForWantOfAPermissionIsExplained(t *testing.T) {
	const role, registry = "arn:aws:iam::123456789012:role/narrow", "123456789012.dkr.ecr.eu-south-1.amazonaws.com"
	if err := world.AWS.AddRole(cloud.Role{ARN: role, MayGetToken: true, Pull: []string{"123456789012/team/*"}, TrustedPrincipals: []string{cloud.DefaultAccount}}); err != nil {
		t.Fatal(err)
	}
	c := credential("narrow", "eu-south-1")
	c.Spec.Registries[0].ECR.RoleARN = role
	create(t, c)
	create(t, namespace("narrow-1", map[string]string{"team": "narrow"}))
	before := secret(t, "narrow-1", "narrow", "the Secret", anySecret)
	linked(t, "narrow-1", "default", "narrow", true)
	pod := pullingPod(t, "narrow-1", "app", registry+"/other/app:v1", nil)
	pullFails(t, pod, "403 Forbidden")
	e := eventOf(t, "narrow-1", "app", v1alpha1.CausePullDenied)
	want := "the token in Secret narrow is fresh, but role " + role + " may not pull " + registry + "/other/app (HTTP status 403, DENIED): allow the identity ecr:BatchGetImage"
	if !strings.HasPrefix(e.Message, want) {
		t.Errorf("it says %q, not %q", e.Message, want)
	}
	after := secret(t, "narrow-1", "narrow", "the Secret", anySecret)
	if after.ResourceVersion != before.ResourceVersion {
		t.Error("the good token was replaced")
	}
}

func TestAPodThatCameBeforeItsLinkIsEvicted(t *testing.T) {
	const registry = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
	create(t, namespace("early-1", nil))
	until(t, &corev1.ServiceAccountList{}, "early-1", "default", "the ServiceAccount", func(_ *corev1.ServiceAccount, deleted bool) bool { return !deleted })
	app := map[string]string{"app": "early"}
	owner := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "early-1", Name: "owner"}}
	owner.Spec.Replicas, owner.Spec.Selector = new(int32(0)), &metav1.LabelSelector{MatchLabels: app}
	owner.Spec.Template.Labels = app
	owner.Spec.Template.Spec.Containers = []corev1.Container{{Name: "app", Image: registry + "/team/app:v1"}}
	create(t, owner)
	pod := pullingPod(t, "early-1", "app", registry+"/team/app:v1", owner)
	c := credential("early", "eu-central-1")
	c.Spec.ServiceAccounts.RecoverPods = v1alpha1.RecoverPodsEvict
	create(t, c)
	patch(t, namespace("early-1", nil), `{"metadata":{"labels":{"team":"early"}}}`)
	secret(t, "early-1", "early", "the Secret", anySecret)
	linked(t, "early-1", "default", "early", true)
	// The controller may see the link a moment later than we do: the kubelet would say it again, too.
	for range 3 {
		pullFails(t, pod, "401 Unauthorized")
	}
	gone(t, pod, &corev1.PodList{})
	if e := eventOf(t, "early-1", "app", v1alpha1.EventEvicted); e.Related == nil || e.Related.UID != owner.UID {
		t.Errorf("the event names %v, want the owner: the next leader would not know it", e.Related)
	}
	again := pullingPod(t, "early-1", "app", registry+"/team/app:v1", owner)
	if len(again.Spec.ImagePullSecrets) != 1 || again.Spec.ImagePullSecrets[0].Name != "early" {
		t.Errorf("the pod came again with %v", again.Spec.ImagePullSecrets)
	}
}

// Where nothing fails, failures cost a watch that says nothing.
func TestPodsThatPullCostNoRequest(t *testing.T) {
	const registry = "123456789012.dkr.ecr.ap-south-1.amazonaws.com"
	create(t, credential("calm", "ap-south-1"))
	create(t, namespace("calm-1", map[string]string{"team": "calm"}))
	secret(t, "calm-1", "calm", "the Secret", anySecret)
	linked(t, "calm-1", "default", "calm", true)
	current(t, "calm")
	eventOf(t, "default", "calm", "Issued")
	start := time.Now()
	for n := range 20 {
		pod := pullingPod(t, "calm-1", fmt.Sprintf("app-%d", n), registry+"/team/app:v1", nil)
		kubeletSays(t, pod, "Pulled", "Successfully pulled image")
		kubeletSays(t, pod, "Failed", "Error: failed to create containerd task")
		kubeletSays(t, pod, "Failed", fmt.Sprintf("Failed to pull image %q: dial tcp 10.0.0.1:443: i/o timeout", pod.Spec.Containers[0].Image))
	}
	// The answer to the last proves that all others were looked at.
	last := pullingPod(t, "calm-1", "last", "quay.example/team/app:v1", nil)
	pullFails(t, last, "401 Unauthorized")
	eventOf(t, "calm-1", "last", v1alpha1.CauseNotCovered)

	own := func(r controlplaneRequest) bool { return r.User == "system:serviceaccount:"+lab.Namespace+":regcred" }
	requests, err := world.AuditRequests(start, func(r controlplaneRequest) bool { return own(r) && (r.Namespace == "calm-1" || r.Resource == "pods") })
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range requests {
		if got := r.Verb + " " + r.Resource + "/" + r.Name; got != "get pods/last" && (r.Verb != "create" || r.Resource != "events") {
			t.Errorf("for pods that pull, or fail for want of a network: %s", got)
		}
	}
	watches, err := world.AuditRequests(start, func(r controlplaneRequest) bool {
		return own(r) && r.Resource == "events" && r.Verb != "create" && r.Verb != "patch"
	})
	if err != nil || len(watches) != 0 {
		t.Errorf("%v, %v: the watch of events was there, and nothing else is needed", watches, err)
	}
	watches, err = world.AuditRequests(time.Time{}, func(r controlplaneRequest) bool { return own(r) && r.Resource == "events" && r.Verb == "watch" })
	if err != nil || len(watches) == 0 {
		t.Fatalf("no watch of events: %v", err)
	}
	for _, r := range watches {
		if !strings.Contains(r.URI, "fieldSelector=involvedObject.kind%3DPod%2Creason%3DFailed") {
			t.Errorf("the API server does not filter: %s", r.URI)
		}
	}
}
