package main

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/controllers/view"
)

// unlink is all that a process with --unlink does. It needs the rights to list and to patch ServiceAccounts, and no others. It waits for
// them: an uninstall that starts its hooks in any order may start the Job before its binding.
func unlink(ctx context.Context, cfg *rest.Config, scope view.Scope) error {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return err
	}
	c, err := newClient(cfg, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	removed := 0
	var failure error
	_ = wait.PollUntilContextTimeout(ctx, 2*time.Second, startupWait, true, func(ctx context.Context) (bool, error) {
		var now int
		now, failure = link.Unlink(ctx, c, scope.EachNamespace(), scope.MayWrite)
		removed += now
		return !apierrors.IsForbidden(failure), nil
	})
	ctrl.Log.Info("Links were removed", "version", version, "links", removed)
	return failure
}
