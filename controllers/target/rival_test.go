package target

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/view"
)

// blind is a cache that shows a namespace and lists nothing.
type blind struct{ listing error }

func (b blind) Get(_ context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	if key.Namespace == "" {
		return nil
	}
	return apierrors.NewNotFound(corev1.Resource(o.GetObjectKind().GroupVersionKind().Kind), key.Name)
}

func (b blind) List(context.Context, client.ObjectList, ...client.ListOption) error { return b.listing }

func TestNoLinkIsTakenForDeadWhileCredentialsCannotBeListed(t *testing.T) {
	left := credential.Target{Credential: credential.Key{Namespace: "team", Name: "gone"}, Namespace: "team", Name: "pull"}
	for listing, want := range map[error]bool{nil: true, errors.New("no informer"): false} {
		r := New(Config{Cache: blind{listing}, Clock: clock.RealClock{}, Scope: view.Scope{}})
		if dead := r.wishes(t.Context(), credential.Target{Namespace: "team"}, nil).Dead(left); dead != want {
			t.Errorf("with the error %v the link is dead: %t", listing, dead)
		}
	}
}
