package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/view"
)

// The RBAC rules of --metrics-secure, which are in a role of their own: who does not serve metrics so does not need them.
//
// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

// leaseName is the name of the Lease by which one replica works at a time.
const leaseName = "regcred.regcred.dev"

func newManager(cfg *rest.Config, o options, scope view.Scope, t *tenure) (ctrl.Manager, *view.Caches, error) {
	scheme := runtime.NewScheme() // of what is read and written alone: that of all kinds takes memory
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, authenticationv1.AddToScheme, eventsv1.AddToScheme, policyv1.AddToScheme, v1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, nil, err
		}
	}
	managed := managerOptions(cfg, o, scope, scheme)
	if o.leaderElect {
		cfg = rest.CopyConfig(cfg)
		t.bind(managed.LeaderElectionConfig, cfg)
	}
	mgr, err := ctrl.NewManager(cfg, managed)
	if err != nil {
		return nil, nil, err
	}
	caches, err := view.New(mgr, scope)
	if err != nil {
		return nil, nil, err
	}
	return mgr, caches, errors.Join(
		mgr.Add(&thrift{}),
		mgr.AddHealthzCheck("ping", healthz.Ping),
		mgr.AddReadyzCheck("caches", func(r *http.Request) error {
			ctx, cancel := context.WithTimeout(r.Context(), time.Second)
			defer cancel()
			if !caches.WaitForCacheSync(ctx) {
				return errors.New("the caches are not filled yet")
			}
			return nil
		}),
	)
}

func managerOptions(cfg *rest.Config, o options, scope view.Scope, scheme *runtime.Scheme) ctrl.Options {
	// A client of its own, so that no burst of ours can cost us the Lease, and time for a second try to renew it.
	lease := rest.CopyConfig(cfg)
	lease.RateLimiter = nil
	lease.Timeout = o.renewDeadline / 2
	return ctrl.Options{
		Scheme:                        scheme,
		Cache:                         scope.CacheOptions(),
		NewClient:                     newClient,
		Metrics:                       metricsOptions(o),
		HealthProbeBindAddress:        o.probeAddress,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              leaseName,
		LeaderElectionNamespace:       o.namespace,
		LeaseDuration:                 &o.leaseDuration,
		RenewDeadline:                 &o.renewDeadline,
		RetryPeriod:                   &o.retryPeriod,
		LeaderElectionConfig:          lease,
		LeaderElectionReleaseOnCancel: true,
	}
}

func metricsOptions(o options) metricsserver.Options {
	m := metricsserver.Options{BindAddress: o.metricsAddress}
	if o.metricsSecure {
		m.SecureServing, m.CertDir = true, o.metricsCertDir
		m.FilterProvider = filters.WithAuthenticationAndAuthorization
		// HTTP/2 lets one client open and abandon streams at our cost (CVE-2023-44487), and a scrape gains nothing by it.
		m.TLSOpts = []func(*tls.Config){func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }}
	}
	return m
}

// newClient writes under our field manager's name, by which our own writes are told from others'.
func newClient(cfg *rest.Config, options client.Options) (client.Client, error) {
	c, err := client.New(cfg, options)
	if err != nil {
		return nil, err
	}
	return client.WithFieldOwner(c, v1alpha1.FieldManager), nil
}
