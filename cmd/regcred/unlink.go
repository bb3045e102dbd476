package main

import (
	"context"

	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/controllers/view"
)

// unlink is all that a process with --unlink does. It needs the rights to list and to patch ServiceAccounts, and no others.
func unlink(ctx context.Context, cfg *rest.Config, scope view.Scope) error {
	c, err := newClient(cfg, client.Options{Scheme: clientgoscheme.Scheme})
	if err != nil {
		return err
	}
	removed, err := link.Unlink(ctx, c, scope.EachNamespace(), scope.Keeps)
	ctrl.Log.Info("Links were removed", "version", version, "links", removed)
	return err
}
