package diagnosis

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/regcred/regcred/api/v1alpha1"
)

// Who may write events writes any message. What is taken from one is short, of the message itself, and a cause that is known.
func FuzzFailedPull(f *testing.F) {
	for _, message := range []string{
		`Failed to pull image "r.example/a:v1": rpc error: code = Unknown desc = failed to pull and unpack image "r.example/a:v1": 401 Unauthorized`,
		`(combined from similar events): Failed to pull image "a": reading manifest v1 in docker.io/library/a: toomanyrequests`,
		`Failed to pull image "r.example/a@sha256:0000": pulling from host mirror.example:5000 failed with status code [manifests v1]: 429 Too Many Requests`,
		`Failed to pull image "r.example/unauthorized:v1": Head "https://mirror.example/v2/unauthorized/manifests/v1": dial tcp: lookup mirror.example: no such host`,
		`Failed to pull image "": `,
	} {
		f.Add(message, "team", "app-0", "1")
	}
	causes := []string{"", v1alpha1.CauseRateLimited, v1alpha1.CauseUntrusted, v1alpha1.CauseUnreachable, v1alpha1.CauseRegistryFailing, v1alpha1.CauseImageNotFound, v1alpha1.CauseOther}
	f.Fuzz(func(t *testing.T, message, namespace, pod, uid string) {
		e := &corev1.Event{Message: message, ReportingController: "kubelet"}
		e.Namespace = namespace
		e.InvolvedObject = corev1.ObjectReference{Kind: "Pod", Namespace: namespace, Name: pod, UID: types.UID(uid)}
		p, ok := FailedPullOf(e)
		switch {
		case !ok:
		case len(p.Image) > maxImage, len(p.Mirror) > maxName, len(p.Pod) > maxName, len(p.UID) > maxUID:
			t.Errorf("too much is kept of %q", message)
		case !strings.Contains(message, p.Image), !strings.Contains(message, p.Mirror):
			t.Errorf("%+v is not what %q says", p, message)
		case !slices.Contains(causes, p.Cause), !slices.Contains(causes, p.WithLogin), p.Cause != "" && p.WithLogin != "":
			t.Errorf("%q has the causes %q and %q", message, p.Cause, p.WithLogin)
		}
	})
}

// An image reference is read once and for all: its parts make a reference that has the same parts.
func FuzzParseImage(f *testing.F) {
	for _, ref := range []string{"nginx", "docker.io/a/b", "r.example:5000/a/b:v1", "r.example/a@sha256:" + strings.Repeat("0", 64), "index.docker.io/a", "localhost/a", "[::1]:5000/a", "::/0"} {
		f.Add(ref)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		i, ok := ParseImage(ref)
		if !ok {
			return
		}
		separator := ":"
		if strings.Contains(i.Reference, ":") {
			separator = "@"
		}
		if again, ok := ParseImage(i.String() + separator + i.Reference); !ok || again != i {
			t.Errorf("%q is %+v, which is read as %+v", ref, i, again)
		}
		if !strings.ContainsAny(i.Host, "*?[") && !i.Under(i.Host) {
			t.Errorf("%q is not for its own host %q", ref, i.Host)
		}
	})
}
