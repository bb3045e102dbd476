package target

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/internal/inflight"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/broker"
)

func TestAPIErrorsOfIdentitiesAreExplained(t *testing.T) {
	key := client.ObjectKey{Namespace: "a", Name: "b"}
	resource := corev1.Resource("secrets")
	for want, err := range map[string]error{
		v1alpha1.ReasonIdentityNotFound: apierrors.NewNotFound(resource, "b"),
		v1alpha1.ReasonInternal:         apierrors.NewForbidden(resource, "b", errors.New("canary")),
		v1alpha1.ReasonUnavailable:      apierrors.NewInternalError(errors.New("canary")),
	} {
		known, ok := errors.AsType[*providers.Error](identityError(err, "Secret", key))
		if !ok || known.Reason != want || known.Terminal {
			t.Errorf("%v: %v", err, known)
		}
	}
}

// slow holds one Secret, and answers reads past the cache when it is told to.
type slow struct {
	client.Reader
	secret corev1.Secret
	reads  atomic.Int32
	answer chan struct{}
}

func (s *slow) Get(_ context.Context, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	switch o := o.(type) {
	case *metav1.PartialObjectMetadata:
		o.ObjectMeta = s.secret.ObjectMeta
	case *corev1.Secret:
		s.reads.Add(1)
		<-s.answer
		*o = s.secret
	}
	return nil
}

// After a restart, ten thousand targets ask at once what their identity is.
func TestTargetsThatAskForAnIdentityTogetherCostOneRead(t *testing.T) {
	for _, label := range []string{v1alpha1.LabelSecretIdentity, v1alpha1.LabelSecretTarget} {
		synctest.Test(t, func(t *testing.T) {
			from := &slow{answer: make(chan struct{})}
			from.secret.ObjectMeta = metav1.ObjectMeta{Namespace: "a", Name: "b", UID: "1", ResourceVersion: "7", Labels: map[string]string{v1alpha1.LabelSecret: label}}
			from.secret.Data = map[string][]byte{"key": []byte("1")}
			r := New(Config{Cache: from, Live: from, Clock: clock.RealClock{}})
			var asking sync.WaitGroup
			for range 32 {
				asking.Go(func() {
					identity, err := r.identitySecret(t.Context(), client.ObjectKey{Namespace: "a", Name: "b"}, maxIdentity)
					if lends := label == v1alpha1.LabelSecretIdentity; lends != (err == nil) || lends && identity.DataHash != providers.HashData(from.secret.Data) {
						t.Errorf("label %s: %v", label, err)
					}
				})
			}
			synctest.Wait()
			close(from.answer)
			asking.Wait()
			// And later nobody asks again.
			_, _ = r.identitySecret(t.Context(), client.ObjectKey{Namespace: "a", Name: "b"}, maxIdentity)
			if reads := from.reads.Load(); reads != 1 {
				t.Errorf("label %s: %d reads, want one", label, reads)
			}
		})
	}
}

// One tenant's Secret that changes all the time takes nothing from what is known of others'.
func TestManyVersionsOfAnIdentityLeaveOthersKnown(t *testing.T) {
	from := &slow{answer: make(chan struct{})}
	close(from.answer)
	r := New(Config{Cache: from, Live: from, Clock: clock.RealClock{}})
	look := func(name string, version int) {
		t.Helper()
		from.secret.ObjectMeta = metav1.ObjectMeta{Namespace: "a", Name: name, UID: types.UID(name), ResourceVersion: fmt.Sprint(version),
			Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}}
		if _, err := r.identitySecret(t.Context(), client.ObjectKey{Namespace: "a", Name: name}, maxIdentity); err != nil {
			t.Fatal(err)
		}
	}
	look("quiet", 1)
	for version := range 2 * maxIdentities {
		look("restless", version)
	}
	before := from.reads.Load()
	look("quiet", 1)
	if from.reads.Load() != before {
		t.Error("the Secret that has not changed is read again")
	}
}

func TestOnlyADockerConfigMayFillAnIdentity(t *testing.T) {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "b", UID: "1", Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}},
		Data:       map[string][]byte{corev1.DockerConfigJsonKey: make([]byte, maxIdentity)},
	}
	api := fake.NewClientBuilder().WithObjects(secret).Build()
	r := New(Config{Cache: api, Live: api, Clock: clock.RealClock{}})
	for _, c := range []struct {
		entry  v1alpha1.Registry
		reason string
	}{
		{v1alpha1.Registry{ECR: &v1alpha1.ECR{}}, v1alpha1.ReasonIdentityInvalid},
		{v1alpha1.Registry{Static: &v1alpha1.Static{}}, ""},
	} {
		id, err := r.identitySecret(t.Context(), client.ObjectKeyFromObject(secret), largestIdentity(&c.entry))
		if err != nil {
			t.Fatal(err)
		}
		call, end := context.WithCancel(t.Context())
		_, err = id.Data(call)
		if known, _ := errors.AsType[*providers.Error](err); (known == nil) != (c.reason == "") || known != nil && known.Reason != c.reason {
			t.Errorf("%+v: %v, want %q", c.entry, err, c.reason)
		}
		end()
		// What was read is let go of when the call has ended.
		if _, err := r.reads.Take(t.Context(), secret.Namespace, bytesOfTenant); err != nil {
			t.Error(err)
		}
		r.reads = inflight.New(bytesAtOnce, bytesOfTenant)
	}
}

// An etcd that was restored gives a version again that it has given before.
func TestTheSourceOfAnEntryIsThatOfItsSpecWhateverItsVersion(t *testing.T) {
	r := New(Config{Tokens: broker.New(t.Context(), broker.Options{Clock: clock.RealClock{}}), Clock: clock.RealClock{}})
	request := func(region string) providers.Request {
		c, err := credential.Of(&v1alpha1.ClusterRegistryCredential{
			ObjectMeta: metav1.ObjectMeta{Name: "registry-pull", UID: "1", ResourceVersion: "1"},
			Spec: v1alpha1.ClusterCredentialSpec{CredentialSpec: v1alpha1.CredentialSpec{
				Registries: []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: region}}},
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		req, err := r.requestOf(t.Context(), c, &c.Spec.Registries[0])
		if err != nil {
			t.Fatal(err)
		}
		return req
	}
	if a, b := request("eu-west-1"), request("eu-west-2"); a.Source() == b.Source() {
		t.Error("two entries of one version have one source: each would be given the token of the other")
	}
}
