// Package lab puts together what the demo, the benchmark and the wiring tests need: a control plane, an emulated cloud and the
// controller's binary between them.
package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
)

// Namespace is the controller's own.
const Namespace = "regcred-system"

// Lab is a cluster and all clouds.
type Lab struct {
	*controlplane.ControlPlane
	*Clouds
	// Client is the administrator's, and reads past any cache.
	Client client.WithWatch
	// Root is the top of the repository.
	Root string

	controllers []*Controller
	kubeconfig  string
}

// Start starts a cluster with Regcred's CRDs, its RBAC rules and its namespace, and healthy clouds.
func Start(ctx context.Context, plane controlplane.Options, aws cloud.Options) (lab *Lab, err error) {
	root, err := repository()
	if err != nil {
		return nil, err
	}
	lab = &Lab{Root: root}
	defer func(started *Lab) { // a return of nil, err has set lab to nil by then
		if err != nil {
			err = errors.Join(err, started.Stop())
		}
	}(lab)
	if lab.Clouds, err = StartClouds(aws); err != nil {
		return nil, err
	}
	plane.CRDDirectories = append(plane.CRDDirectories, filepath.Join(root, "config", "crd"))
	if lab.ControlPlane, err = controlplane.Start(ctx, plane); err != nil {
		return nil, err
	}
	if lab.Client, err = newClient(lab.Config); err != nil {
		return nil, err
	}
	if _, err = lab.Kubectl(ctx, "apply", "-k", filepath.Join(root, "config", "rbac")); err != nil {
		return nil, err
	}
	// The controller acts as its ServiceAccount, with no right beyond its rules.
	user := "system:serviceaccount:" + Namespace + ":regcred"
	_, lab.kubeconfig, err = lab.AddUser(user, []string{"system:serviceaccounts", "system:serviceaccounts:" + Namespace, "system:authenticated"})
	return lab, err
}

func newClient(cfg *rest.Config) (client.WithWatch, error) {
	scheme := runtime.NewScheme()
	err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme), eventsv1.AddToScheme(scheme))
	if err != nil {
		return nil, err
	}
	return client.NewWithWatch(cfg, client.Options{Scheme: scheme})
}

// Stop ends everything.
func (l *Lab) Stop() error {
	var errs []error
	for _, c := range l.controllers {
		errs = append(errs, c.Stop())
	}
	if l.ControlPlane != nil {
		errs = append(errs, l.ControlPlane.Stop())
	}
	if l.Clouds != nil {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// StartController starts bin/regcred with the clouds' environment, and returns when it is ready.
func (l *Lab) StartController(ctx context.Context, log io.Writer, args ...string) (*Controller, error) {
	c, err := startController(ctx, filepath.Join(l.Root, "bin", "regcred"), l.kubeconfig, l.Env(), log, args)
	if err != nil {
		return nil, fmt.Errorf("starting the controller: %w", err)
	}
	l.controllers = append(l.controllers, c)
	return c, nil
}

// repository finds the top of the repository from the working directory.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "config", "crd")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("run this inside the repository: no config/crd in any parent directory")
}
