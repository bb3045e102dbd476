package target

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

func TestAPIErrorsOfIdentitiesAreExplained(t *testing.T) {
	key := client.ObjectKey{Namespace: "a", Name: "b"}
	resource := corev1.Resource("secrets")
	for want, err := range map[string]error{
		v1alpha1.ReasonIdentityNotFound: apierrors.NewNotFound(resource, "b"),
		v1alpha1.ReasonInternal:         apierrors.NewForbidden(resource, "b", errors.New("canary")),
		v1alpha1.ReasonUnavailable:      apierrors.NewInternalError(errors.New("canary")),
	} {
		known, ok := errors.AsType[*providers.Error](notFound(err, "Secret", key))
		if !ok || known.Reason != want || known.Terminal {
			t.Errorf("%v: %v", err, known)
		}
	}
}
