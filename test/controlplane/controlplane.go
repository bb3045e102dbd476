// Package controlplane runs a real etcd, kube-apiserver and, if asked, kube-controller-manager and kube-scheduler for tests, the demo and the
// benchmark. It needs neither root nor a container engine.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/regcred/regcred/test/controlplane/assets"
	"github.com/regcred/regcred/test/port"
)

// Options say what to start. The zero value is an API server with its etcd.
type Options struct {
	// CRDDirectories hold CustomResourceDefinitions to install; a missing directory is an error.
	CRDDirectories []string
	// AuditLog is the file that gets one line per request, for AuditRequests. Its old content is lost.
	AuditLog string
	// ControllerManager adds default ServiceAccounts, garbage collection, namespace deletion and the root CA publisher,
	// and with them the ServiceAccount admission plugin, which copies imagePullSecrets into pods.
	ControllerManager bool
	// MoreControllers are started in the kube-controller-manager beside those.
	MoreControllers []string
	// Scheduler gives pods a node, if there is one.
	Scheduler bool
	// APIServerFlags are named without dashes and replace the defaults of the same name.
	APIServerFlags map[string][]string
}

// ControlPlane is a running control plane.
type ControlPlane struct {
	// Config is the administrator's. It has no client-side rate limit.
	Config *rest.Config

	dir        string
	binaries   string
	auditLog   string
	env        *envtest.Environment
	components []*component
	kubeconfig string
	logs       []io.Closer
}

// Start starts a control plane; ctx bounds the start only. It fails if a binary is missing: a test that needs a control
// plane must never pass for want of one.
func Start(ctx context.Context, opts Options) (*ControlPlane, error) {
	names := []string{assets.Etcd, assets.APIServer, assets.Kubectl}
	if opts.ControllerManager {
		names = append(names, assets.ControllerManager)
	}
	if opts.Scheduler {
		names = append(names, assets.Scheduler)
	}
	binaries, err := assets.Find(ctx, names...)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "regcred-controlplane-")
	if err != nil {
		return nil, err
	}
	cp := &ControlPlane{dir: dir, binaries: binaries}
	if err := cp.start(ctx, opts); err != nil {
		return nil, errors.Join(err, cp.Stop())
	}
	return cp, nil
}

func (cp *ControlPlane) start(ctx context.Context, opts Options) error {
	if err := cp.prepare(ctx, opts); err != nil {
		return err
	}
	config, err := cp.env.Start()
	if err != nil {
		return fmt.Errorf("%w%s%s", err, cp.lastWords(assets.Etcd), cp.lastWords(assets.APIServer))
	}
	cp.Config = withoutRateLimit(config)
	cp.kubeconfig = filepath.Join(cp.dir, "admin.kubeconfig")
	if err := os.WriteFile(cp.kubeconfig, cp.env.KubeConfig, 0o600); err != nil {
		return err
	}
	if opts.ControllerManager {
		if err := cp.startManager(ctx, opts.MoreControllers); err != nil {
			return fmt.Errorf("%w%s", err, cp.lastWords(assets.ControllerManager))
		}
	}
	if opts.Scheduler {
		if err := cp.startScheduler(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// prepare configures the environment. Everything it writes is below cp.dir, so that Stop removes it.
func (cp *ControlPlane) prepare(ctx context.Context, opts Options) error {
	cp.env = &envtest.Environment{CRDDirectoryPaths: opts.CRDDirectories, ErrorIfCRDPathMissing: true}
	server := cp.env.ControlPlane.GetAPIServer()
	server.CertDir = filepath.Join(cp.dir, "apiserver-data")
	etcd := &envtest.Etcd{DataDir: filepath.Join(cp.dir, "etcd-data")}
	cp.env.ControlPlane.Etcd = etcd
	if err := listen(ctx, server, etcd); err != nil {
		return err
	}
	for _, dir := range []string{server.CertDir, etcd.DataDir} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}

	var err error
	if etcd.Path, etcd.Err, err = cp.child(ctx, assets.Etcd); err != nil {
		return err
	}
	if server.Path, server.Err, err = cp.child(ctx, assets.APIServer); err != nil {
		return err
	}
	cp.env.ControlPlane.KubectlPath = filepath.Join(cp.binaries, assets.Kubectl)

	etcd.Configure().Set("unsafe-no-fsync", "true")
	if opts.ControllerManager {
		server.Configure().Disable("disable-admission-plugins")
	}
	if opts.AuditLog != "" {
		if err := cp.configureAudit(opts.AuditLog); err != nil {
			return err
		}
	}
	for name, values := range opts.APIServerFlags {
		server.Configure().Set(name, values...)
	}
	return nil
}

// listen tells them where to, as they come back there after a crash.
func listen(ctx context.Context, server *envtest.APIServer, etcd *envtest.Etcd) error {
	api, err := port.Free(ctx)
	if err != nil {
		return err
	}
	clients, err := port.Address(ctx)
	if err != nil {
		return err
	}
	peers, err := port.Address(ctx)
	if err != nil {
		return err
	}
	server.ListenAddr = envtest.ListenAddr{Address: "127.0.0.1", Port: strconv.Itoa(api)}
	etcd.URL = &url.URL{Scheme: "http", Host: clients}
	etcd.Configure().Set("listen-peer-urls", "http://"+peers)
	return nil
}

// Stop ends every process that Start began and removes their files. It may be called more than once.
func (cp *ControlPlane) Stop() error {
	var errs []error
	for _, c := range slices.Backward(cp.components) {
		errs = append(errs, c.stop())
	}
	cp.components = nil
	if cp.env != nil {
		errs = append(errs, cp.env.Stop())
		cp.env = nil
	}
	for _, log := range cp.logs {
		errs = append(errs, log.Close())
	}
	cp.logs = nil
	return errors.Join(append(errs, os.RemoveAll(cp.dir))...)
}

func withoutRateLimit(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = -1, 0
	return config
}
