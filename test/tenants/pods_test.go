package tenants

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// podAbuses are pods and events that pretend something. Not every cluster lets a tenant write events; here it may.
var podAbuses = []abuse{
	{name: "2,000 failed pulls of pods that are not there", storm: true, do: func(u *tenant) {
		u.inParallel(2000, func(i int) error {
			return u.kubeletSays(fmt.Sprintf("ghost-%d", i), types.UID(fmt.Sprintf("uid-%d", i)), ecrHost+"/team/app:v1", "401 Unauthorized")
		})
	}},
	{name: "a failed pull of every image of the cluster's registry", storm: true, do: func(u *tenant) {
		u.inParallel(100, func(i int) error {
			pod := &corev1.Pod{ObjectMeta: u.object(fmt.Sprintf("pod-%d", i))}
			pod.Spec.Containers = []corev1.Container{{Name: "app", Image: fmt.Sprintf("%s/team/app-%d:v1", ecrHost, i)}}
			if err := u.edit.Create(u.Context(), pod); err != nil {
				return err
			}
			return u.kubeletSays(pod.Name, pod.UID, pod.Spec.Containers[0].Image, "403 Forbidden")
		})
	}},
	{name: "a login of one's own for the cluster's registry, and a pull that fails for it", mints: 1, do: func(u *tenant) {
		u.identity("pat", map[string]string{"username": "AWS", "password": "wrong"})
		u.create(u.credential("own", static(ecrHost, "pat")))
		u.eventually("its Secret", func() bool { return u.edit.Get(u.Context(), u.key("own"), &corev1.Secret{}) == nil })
		pod := &corev1.Pod{ObjectMeta: u.object("victim")}
		pod.Spec.Containers = []corev1.Container{{Name: "app", Image: ecrHost + "/team/app:v1"}}
		pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "own"}}
		u.create(pod)
		for range 5 {
			u.must(u.kubeletSays(pod.Name, pod.UID, pod.Spec.Containers[0].Image, "401 Unauthorized"))
		}
	}, says: repaired},
	{name: "events of a megabyte in all about one pod", storm: true, do: func(u *tenant) {
		pod := &corev1.Pod{ObjectMeta: u.object("talker")}
		pod.Spec.Containers = []corev1.Container{{Name: "app", Image: ecrHost + "/team/app:v1"}}
		u.create(pod)
		u.inParallel(1000, func(i int) error {
			return u.kubeletSays(pod.Name, pod.UID, ecrHost+"/"+strings.Repeat("a/", 400)+fmt.Sprint(i), "401 Unauthorized")
		})
	}},
	{name: "a failed pull from a registry that does not answer", storm: true, do: func(u *tenant) {
		u.identity("pat", map[string]string{"username": "me", "password": "mine"})
		u.create(u.credential("own", static(tarpit, "pat")))
		u.eventually("its Secret", func() bool { return u.edit.Get(u.Context(), u.key("own"), &corev1.Secret{}) == nil })
		u.inParallel(64, func(i int) error {
			pod := &corev1.Pod{ObjectMeta: u.object(fmt.Sprintf("pod-%d", i))}
			pod.Spec.Containers = []corev1.Container{{Name: "app", Image: fmt.Sprintf("%s/team/app-%d:v1", tarpit, i)}}
			pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "own"}}
			if err := u.edit.Create(u.Context(), pod); err != nil {
				return err
			}
			return u.kubeletSays(pod.Name, pod.UID, pod.Spec.Containers[0].Image, "401 Unauthorized")
		})
	}},
	{name: "another login under our manager's name, and a pull that fails for it", mints: 1, do: func(u *tenant) {
		u.patch(u.target(platform), `{"stringData":{".dockerconfigjson":`+quoted(login(ecrHost, "AWS:wrong"))+`}}`, asRegcred)
		pod := &corev1.Pod{ObjectMeta: u.object("victim")}
		pod.Spec.Containers = []corev1.Container{{Name: "app", Image: ecrHost + "/team/app:v1"}}
		u.create(pod)
		for range 5 {
			u.must(u.kubeletSays(pod.Name, pod.UID, pod.Spec.Containers[0].Image, "401 Unauthorized"))
		}
	}, says: repaired},
}

// kubeletSays makes an event of a failed pull as a kubelet does.
func (u *tenant) kubeletSays(pod string, uid types.UID, image, status string) error {
	now := metav1.Now()
	return u.admin.Create(u.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: u.ns, GenerateName: pod + "."},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: u.ns, Name: pod, UID: uid, FieldPath: "spec.containers{app}"},
		Reason:         "Failed", Type: corev1.EventTypeWarning, Count: 1, FirstTimestamp: now, LastTimestamp: now,
		Message: fmt.Sprintf("Failed to pull image %q: rpc error: code = Unknown desc = failed to pull and unpack image %q: "+
			"failed to resolve reference %q: pulling from host registry failed with status code [manifests v1]: %s", image, image, image, status),
		Source: corev1.EventSource{Component: "kubelet", Host: "node-1"}, ReportingController: "kubelet", ReportingInstance: "node-1",
	})
}
