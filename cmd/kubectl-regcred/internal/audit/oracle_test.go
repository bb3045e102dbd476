package audit

import (
	"errors"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/dockerconfig"
	"github.com/regcred/regcred/controllers/diagnosis"
	"github.com/regcred/regcred/test/keyring"
)

// Which logins audit thinks that an image has, and what it takes for malformed, is what the kubelet's own code says. A Secret that a list names
// twice counts once.
func TestAuditReadsAsTheKubelet(t *testing.T) {
	failed := 0
	for _, c := range keyring.Cases(t, 10000) {
		image, ok := diagnosis.ParseImage(c.Image)
		if !ok {
			continue
		}
		for _, made := range []bool{true, false} {
			i := inventoryOf(c, made)
			ring, err := i.ring("team", i.listOf(&i.workloads[0]))
			malformed := errors.Is(err, dockerconfig.ErrMalformed)
			if err != nil && !malformed {
				t.Fatal(err)
			}
			var users []string
			for _, l := range ring.For(image) {
				users = append(users, l.Username)
			}
			if malformed != c.Kubelet.Malformed || !slices.Equal(union(nil, c.Sorted(users)...), union(nil, c.Kubelet.Users...)) {
				if failed++; failed < 10 {
					t.Errorf("%s: malformed %t, %q, and the kubelet %t, %q", c, malformed, users, c.Kubelet.Malformed, c.Kubelet.Users)
				}
			}
		}
	}
}

// inventoryOf is what a cluster with the case in it gives: the pod, or the Deployment that makes it.
func inventoryOf(c *keyring.Case, made bool) *inventory {
	i := newInventory()
	i.whole = true
	for _, s := range c.Secrets {
		i.add(s)
	}
	meta := metav1.ObjectMeta{Namespace: "team", Name: "default"}
	i.add(&corev1.ServiceAccount{ObjectMeta: meta, ImagePullSecrets: references(c.Linked)})
	spec := corev1.PodSpec{Containers: []corev1.Container{{Image: c.Image}}}
	if made { // admission has given it the list of its ServiceAccount
		spec.ImagePullSecrets = references(c.List())
		i.add(&corev1.Pod{ObjectMeta: meta, Spec: spec})
	} else {
		spec.ImagePullSecrets = references(c.Own)
		i.add(&appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{Spec: spec}}})
	}
	i.settle()
	return i
}

func references(names []string) []corev1.LocalObjectReference {
	var all []corev1.LocalObjectReference
	for _, name := range names {
		all = append(all, corev1.LocalObjectReference{Name: name})
	}
	return all
}
