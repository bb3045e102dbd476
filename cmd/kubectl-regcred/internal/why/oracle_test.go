package why

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/controllers/diagnosis"
	"github.com/regcred/regcred/test/keyring"
)

// What why reads of a pod's Secrets, and the logins that it says the kubelet shows, are what the kubelet's own code reads and shows.
func TestWhyReadsAsTheKubelet(t *testing.T) {
	failed := 0
	for _, c := range keyring.Cases(t, 10000) {
		image, ok := diagnosis.ParseImage(c.Image)
		if !ok {
			continue
		}
		for _, made := range []bool{true, false} {
			w := walkOf(c, made)
			w.image = image
			for _, step := range []func() error{func() error { return w.readList(t.Context()) }, func() error { return w.readSecrets(t.Context()) }} {
				if err := step(); err != nil {
					t.Fatal(err)
				}
			}
			var users []string
			for _, l := range w.logins {
				users = append(users, l.Username)
			}
			malformed := w.fatal != nil
			if malformed != c.Kubelet.Malformed || !malformed && !slices.Equal(c.Sorted(users), c.Kubelet.Users) {
				if failed++; failed < 10 {
					t.Errorf("%s: malformed %t, %q, and the kubelet %t, %q", c, malformed, users, c.Kubelet.Malformed, c.Kubelet.Users)
				}
			}
		}
	}
}

// walkOf is a walk to the images of the pod, or of what makes it, in a cluster where everything has been read.
func walkOf(c *keyring.Case, made bool) *walk {
	f := newFacts(nil)
	for _, name := range append(c.Own, c.Linked...) {
		s := &secret{presence: cluster.Absent}
		if o := c.Secret(name); o != nil {
			s = secretOf(o)
		}
		f.secrets[types.NamespacedName{Namespace: "team", Name: name}] = s
	}
	f.accounts[types.NamespacedName{Namespace: "team", Name: "default"}] = &account{presence: cluster.Present, linked: c.Linked}
	spec := &corev1.PodSpec{}
	list := c.Own
	if made { // admission has given it the list of its ServiceAccount
		list = c.List()
	}
	for _, name := range list {
		spec.ImagePullSecrets = append(spec.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	s := subjectOf("app", &metav1.ObjectMeta{Namespace: "team", Name: "app"}, spec)
	s.made = made
	return &walk{facts: f, s: s, keepers: map[string]cluster.Ref{}}
}
