// Command regcred keeps the image pull Secrets of a cluster fresh.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/debug"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/regcred/regcred/controllers"
	"github.com/regcred/regcred/controllers/revoke"
	"github.com/regcred/regcred/controllers/view"
)

// version is set by the linker.
var version = "dev"

// system is where time comes from.
var system clock.PassiveClock = clock.RealClock{}

func main() {
	var o options
	o.bind(flag.CommandLine)
	flag.Parse()
	if o.printVersion {
		fmt.Println(version)
		return
	}
	ctrl.SetLogger(o.logger())
	if os.Getenv("GOGC") == "" {
		// Most of the heap is the cache, which stays: letting it double before a collection would only hold memory.
		debug.SetGCPercent(50)
	}
	if err := run(ctrl.SetupSignalHandler(), o); err != nil {
		ctrl.Log.Error(err, "Regcred stops")
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	cfg, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	cfg.UserAgent = "regcred/" + version
	scope := view.Scope{Namespaces: sets.New(splitList(o.watchNamespaces)...), SecretNames: sets.New(splitList(o.secretNames)...)}
	excluded := view.Excluded(splitList(o.excludedNamespaces))
	if err := errors.Join(scope.Validate(), excluded.Validate()); err != nil {
		return err
	}
	if o.check {
		return check(ctx, cfg, o.namespace, scope)
	}
	if o.unlink {
		return unlink(ctx, cfg, scope)
	}
	tenure, ctx := newTenure(ctx, o.leaseDuration)
	retired := revoke.NewRetired(system)
	tokens, err := newBroker(ctx, o.providers, retired.Retire)
	if err != nil {
		return err
	}
	scope.Annotations = tokens.AllAnnotations()
	mgr, caches, err := newManager(cfg, o, scope, tenure)
	if err != nil {
		return err
	}
	err = controllers.Setup(ctx, mgr, controllers.Options{
		View: caches, Broker: tokens, Retired: retired, Clock: system, Metrics: metrics.Registry, Version: version,
		Namespace: o.namespace, Excluded: excluded, AllowAmbientIdentity: o.allowAmbientIdentity,
		DiagnosePulls: o.diagnosePulls,
	})
	if meta.IsNoMatchError(err) {
		return fmt.Errorf("the CustomResourceDefinitions are not installed: kubectl apply -f config/crd: %w", err)
	}
	if err != nil {
		return err
	}
	ctrl.Log.Info("Regcred starts", "version", version, "namespace", o.namespace)
	err = mgr.Start(ctx)
	if cause := context.Cause(ctx); errors.Is(cause, errTenureOver) {
		return errors.Join(err, cause)
	}
	return err
}
