// Command regcred keeps the image pull Secrets of a cluster fresh.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"go.uber.org/zap/zapcore"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/regcred/regcred/controllers"
	"github.com/regcred/regcred/controllers/view"
	"github.com/regcred/regcred/providers/broker"
)

// version is set by the linker.
var version = "dev"

// system is where time comes from.
var system clock.PassiveClock = clock.RealClock{}

type options struct {
	leaderElect          bool
	metricsAddress       string
	metricsSecure        bool
	metricsCertDir       string
	probeAddress         string
	namespace            string
	excludedNamespaces   string
	watchNamespaces      string
	secretNames          string
	allowAmbientIdentity bool
	unlink               bool
	printVersion         bool
	log                  zap.Options
	providers            providerOptions
}

func (o *options) bind(f *flag.FlagSet) {
	f.BoolVar(&o.leaderElect, "leader-elect", false, "Let only one of several replicas work, by a Lease in --namespace.")
	f.StringVar(&o.metricsAddress, "metrics-bind-address", ":8080", "Address of the metrics endpoint; 0 turns it off.")
	f.BoolVar(&o.metricsSecure, "metrics-secure", false,
		"Serve metrics over HTTPS, and only to those whom RBAC lets get /metrics. Needs the right to create TokenReviews and SubjectAccessReviews.")
	f.StringVar(&o.metricsCertDir, "metrics-cert-dir", "",
		"Directory with tls.crt and tls.key for --metrics-secure, which are read anew when they change. Without it the certificate is self-signed.")
	f.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "Address of /healthz and /readyz; 0 turns them off.")
	f.StringVar(&o.namespace, "namespace", ownNamespace(),
		"The controller's own namespace: that of the Lease and of the identities of ClusterRegistryCredentials.")
	f.StringVar(&o.excludedNamespaces, "excluded-namespaces", "kube-system,kube-public,kube-node-lease",
		"Namespaces that never get a Secret, separated by commas.")
	f.StringVar(&o.watchNamespaces, "watch-namespaces", "",
		"The only namespaces to serve, separated by commas. Nothing cluster-scoped is read then, and ClusterRegistryCredentials are not served. Empty: all.")
	f.StringVar(&o.secretNames, "secret-names", "",
		"The names of the only Secrets to read and write, separated by commas: those of credentials and of identities. Empty: any.")
	f.BoolVar(&o.allowAmbientIdentity, "allow-ambient-identity", false,
		"Let a RegistryCredential without identity use the controller's own. Whoever may create one can then pull what the controller can.")
	o.providers.bind(f)
	f.BoolVar(&o.unlink, "unlink", false,
		"Remove the links that Regcred has made, of --watch-namespaces and --secret-names if they are given, and exit. For when no controller runs any more.")
	f.BoolVar(&o.printVersion, "version", false, "Print the version and exit.")
	o.log.TimeEncoder = zapcore.RFC3339TimeEncoder
	o.log.StacktraceLevel = zapcore.PanicLevel
	o.log.BindFlags(f)
}

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
	if err := scope.Validate(); err != nil {
		return err
	}
	if o.unlink {
		return unlink(ctx, cfg, scope)
	}
	mgr, caches, err := newManager(cfg, o, scope)
	if err != nil {
		return err
	}
	all, err := newProviders(o.providers, broker.NewMetrics(metrics.Registry, system), system)
	if err != nil {
		return err
	}
	tokens := broker.New(ctx, system, all)

	metrics.Registry.MustRegister(tokens)
	err = controllers.Setup(ctx, mgr, controllers.Options{
		View: caches, Broker: tokens, Clock: system, Metrics: metrics.Registry,
		Namespace: o.namespace, Excluded: sets.New(splitList(o.excludedNamespaces)...), AllowAmbientIdentity: o.allowAmbientIdentity,
	})
	if meta.IsNoMatchError(err) {
		return fmt.Errorf("the CustomResourceDefinitions are not installed: kubectl apply -f config/crd: %w", err)
	}
	if err != nil {
		return err
	}
	ctrl.Log.Info("Regcred starts", "version", version, "namespace", o.namespace)
	return mgr.Start(ctx)
}

// splitList reads a list that is separated by commas.
func splitList(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// ownNamespace is where the Pod runs, as its mounted ServiceAccount says.
func ownNamespace() string {
	raw, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
	if err != nil {
		return "regcred-system"
	}
	return strings.TrimSpace(string(raw))
}
