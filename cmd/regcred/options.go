package main

import (
	"flag"
	"os"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

type options struct {
	leaderElect          bool
	leaseDuration        time.Duration
	renewDeadline        time.Duration
	retryPeriod          time.Duration
	metricsAddress       string
	metricsSecure        bool
	metricsCertDir       string
	probeAddress         string
	namespace            string
	excludedNamespaces   string
	watchNamespaces      string
	secretNames          string
	allowAmbientIdentity bool
	diagnosePulls        bool
	check                bool
	unlink               bool
	printVersion         bool
	log                  zap.Options
	providers            providerOptions
}

func (o *options) bind(f *flag.FlagSet) {
	f.BoolVar(&o.leaderElect, "leader-elect", false, "Let only one of several replicas work, by a Lease in --namespace.")
	f.DurationVar(&o.leaseDuration, "leader-elect-lease-duration", 15*time.Second,
		"How long a replica that has stopped renewing its Lease stays the leader.")
	f.DurationVar(&o.renewDeadline, "leader-elect-renew-deadline", 10*time.Second,
		"How long the leader tries to renew its Lease before it gives up. Must be shorter than --leader-elect-lease-duration.")
	f.DurationVar(&o.retryPeriod, "leader-elect-retry-period", 2*time.Second, "How long to wait between two tries to get or to renew the Lease.")
	f.StringVar(&o.metricsAddress, "metrics-bind-address", ":8080", "Address of the metrics endpoint; 0 turns it off.")
	f.BoolVar(&o.metricsSecure, "metrics-secure", false,
		"Serve metrics over HTTPS, and only to those whom RBAC lets get /metrics. Needs the right to create TokenReviews and SubjectAccessReviews.")
	f.StringVar(&o.metricsCertDir, "metrics-cert-dir", "",
		"Directory with tls.crt and tls.key for --metrics-secure, which are read anew when they change. Without it the certificate is self-signed.")
	f.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "Address of /healthz and /readyz; 0 turns them off.")
	f.StringVar(&o.namespace, "namespace", ownNamespace(),
		"The controller's own namespace: that of the Lease and of the identities of ClusterRegistryCredentials.")
	f.StringVar(&o.excludedNamespaces, "excluded-namespaces", "kube-system,kube-public,kube-node-lease",
		"Namespaces that never get a Secret, separated by commas: names, or globs such as openshift-*.")
	f.StringVar(&o.watchNamespaces, "watch-namespaces", "",
		"The only namespaces to serve, separated by commas. Nothing cluster-scoped is read then, and ClusterRegistryCredentials are not served. Empty: all.")
	f.StringVar(&o.secretNames, "secret-names", "",
		"The names of the only Secrets to read and write, separated by commas: those of credentials and of identities. Empty: any.")
	f.BoolVar(&o.allowAmbientIdentity, "allow-ambient-identity", false,
		"Let a RegistryCredential without identity use the controller's own. Whoever may create one can then pull what the controller can.")
	f.BoolVar(&o.diagnosePulls, "diagnose-pulls", true,
		"Find out why pulls fail, from the events of pods. Without it the controller needs no right to events, pods and evictions.")
	o.providers.bind(f)
	f.BoolVar(&o.check, "check", false,
		"Wait up to a minute until the kinds are served and a controller holds the Lease in --namespace, and exit.")
	f.BoolVar(&o.unlink, "unlink", false,
		"Remove the links that Regcred has made, of --watch-namespaces and --secret-names if they are given, and exit. For when no controller runs any more.")
	f.BoolVar(&o.printVersion, "version", false, "Print the version and exit.")
	o.log.TimeEncoder = zapcore.RFC3339TimeEncoder
	o.log.StacktraceLevel = zapcore.PanicLevel
	o.log.BindFlags(f)
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
