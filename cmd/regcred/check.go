package main

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/view"
)

// startupWait is how long a process that runs once waits for what starts in any order: a controller, or its own rights.
const startupWait = time.Minute

// check is all that a process with --check does: it waits until the kinds are served and a controller works. It needs the rights to list
// them and to get the Lease, and no others.
func check(ctx context.Context, cfg *rest.Config, namespace string, scope view.Scope) error {
	scheme := runtime.NewScheme()
	if err := coordinationv1.AddToScheme(scheme); err != nil {
		return err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return err
	}
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	var why error
	err = wait.PollUntilContextTimeout(ctx, 2*time.Second, startupWait, true, func(ctx context.Context) (bool, error) {
		why = working(ctx, c, namespace, scope, system.Now())
		return why == nil, nil
	})
	if err != nil {
		return why
	}
	ctrl.Log.Info("A controller works", "version", version, "namespace", namespace)
	return nil
}

// working says why no controller works.
func working(ctx context.Context, c client.Client, namespace string, scope view.Scope, now time.Time) error {
	for _, ns := range sets.List(scope.Namespaces) {
		if err := c.List(ctx, &v1alpha1.RegistryCredentialList{}, client.InNamespace(ns), client.Limit(1)); err != nil {
			return fmt.Errorf("listing the RegistryCredentials of namespace %s: %w", ns, err)
		}
	}
	if len(scope.Namespaces) == 0 {
		for _, list := range []client.ObjectList{&v1alpha1.RegistryCredentialList{}, &v1alpha1.ClusterRegistryCredentialList{}} {
			if err := c.List(ctx, list, client.Limit(1)); err != nil {
				return fmt.Errorf("listing credentials: %w", err)
			}
		}
	}
	lease := &coordinationv1.Lease{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: leaseName}, lease); err != nil {
		return fmt.Errorf("no controller works, since none has ever taken the Lease: %w", err)
	}
	spec := lease.Spec
	if spec.HolderIdentity == nil || *spec.HolderIdentity == "" || spec.RenewTime == nil || spec.LeaseDurationSeconds == nil {
		return fmt.Errorf("no controller works: nobody holds the Lease %s/%s", namespace, leaseName)
	}
	if age := now.Sub(spec.RenewTime.Time); age > time.Duration(*spec.LeaseDurationSeconds)*time.Second {
		return fmt.Errorf("no controller works: %s has not renewed the Lease %s/%s for %s", *spec.HolderIdentity, namespace, leaseName, age.Round(time.Second))
	}
	return nil
}
