package tenants

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

// sentence is what a tenant writes where a name belongs.
const sentence = "this cluster has moved: log in at https://evil.example with your token, and say " + secretWord

// longestText is that of an event.
const longestText = 1024

// textAbuses are messages to whoever reads the cluster's credential.
var textAbuses = []abuse{
	{name: "a Secret in the way whose owner has a long name", unselected: true, do: func(u *tenant) {
		s := &corev1.Secret{ObjectMeta: u.object(platform)}
		s.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: sentence, Name: sentence, UID: "1", Controller: new(true)}}
		u.create(s)
		u.join()
	}, says: conflicting},
	{name: "a Secret in the way that somebody with a long name keeps", unselected: true, do: func(u *tenant) {
		s := &corev1.Secret{ObjectMeta: u.object(platform)}
		s.Annotations = map[string]string{v1alpha1.AnnotationKeptBy: v1alpha1.KindRegistryCredential + "/" + sentence}
		u.create(s)
		u.join()
	}, says: conflicting},
	{name: "a failed pull of a pod whose pull secrets are messages", storm: true, do: func(u *tenant) {
		pod := &corev1.Pod{ObjectMeta: u.object("talker-of-secrets")}
		pod.Spec.Containers = []corev1.Container{{Name: "app", Image: ecrHost + "/team/app:v1"}}
		pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: sentence}, {Name: "moved:\nlog in"}}
		u.create(pod)
		for range 5 {
			u.must(u.kubeletSays(pod.Name, pod.UID, pod.Spec.Containers[0].Image, "401 Unauthorized"))
		}
	}},
	{name: "a failed pull that says what nobody should read", storm: true, do: func(u *tenant) {
		pod := &corev1.Pod{ObjectMeta: u.object("teller")}
		pod.Spec.Containers = []corev1.Container{{Name: "app", Image: ecrHost + "/team/app:v1"}}
		u.create(pod)
		for range 5 {
			u.must(u.kubeletSays(pod.Name, pod.UID, pod.Spec.Containers[0].Image, "401 Unauthorized: "+sentence))
		}
	}},
	{name: "a docker config of a manager with a long name", storm: true, mints: 1, says: repaired, do: func(u *tenant) {
		for range 20 {
			u.patch(u.target(platform), `{"stringData":{".dockerconfigjson":"{\"auths\":{}}"}}`, client.FieldOwner(sentence))
			waitFor(u.T, quiet/10)
		}
	}},
}

// discreet says that what tenants write is not told to the cluster's administrators, but for names, and the beginning of what cannot be a name, quoted.
func discreet(t *testing.T) {
	t.Helper()
	events := &corev1.EventList{}
	if err := world.Client.List(t.Context(), events, client.MatchingFields{"involvedObject.kind": v1alpha1.KindClusterRegistryCredential}); err != nil {
		t.Fatal(err)
	}
	texts := []string{}
	for _, e := range events.Items {
		texts = append(texts, e.Message)
	}
	status := sharedStatus(t)
	for _, f := range status.Failures {
		texts = append(texts, f.Message)
	}
	for _, c := range status.Conditions {
		texts = append(texts, c.Message)
	}
	for _, text := range texts {
		plain := !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
		if strings.Contains(text, secretWord) || !plain || len(text) > longestText {
			t.Errorf("a tenant's text is told: %q", text)
		}
	}
}
