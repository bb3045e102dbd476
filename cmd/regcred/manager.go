package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers"
)

func newManager(cfg *rest.Config, o options) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(cfg, managerOptions(cfg, o, scheme))
	if err != nil {
		return nil, err
	}
	return mgr, errors.Join(
		mgr.AddHealthzCheck("ping", healthz.Ping),
		mgr.AddReadyzCheck("caches", func(r *http.Request) error {
			ctx, cancel := context.WithTimeout(r.Context(), time.Second)
			defer cancel()
			if !mgr.GetCache().WaitForCacheSync(ctx) {
				return errors.New("the caches are not filled yet")
			}
			return nil
		}),
	)
}

func managerOptions(cfg *rest.Config, o options, scheme *runtime.Scheme) ctrl.Options {
	// A client of its own, so that no burst of ours can cost us the Lease, and a deadline well below that of a renewal (10 s).
	lease := rest.CopyConfig(cfg)
	lease.RateLimiter = nil
	lease.Timeout = 5 * time.Second
	return ctrl.Options{
		Scheme:                        scheme,
		Cache:                         controllers.CacheOptions(),
		NewClient:                     newClient,
		Metrics:                       metricsserver.Options{BindAddress: o.metricsAddress},
		HealthProbeBindAddress:        o.probeAddress,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              "regcred.regcred.dev",
		LeaderElectionNamespace:       o.namespace,
		LeaderElectionConfig:          lease,
		LeaderElectionReleaseOnCancel: true,
	}
}

// newClient writes under our field manager's name, by which our own writes are told from others'.
func newClient(cfg *rest.Config, options client.Options) (client.Client, error) {
	c, err := client.New(cfg, options)
	if err != nil {
		return nil, err
	}
	return client.WithFieldOwner(c, controllers.FieldManager), nil
}
