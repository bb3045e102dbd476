// Package lab puts together what the demo, the benchmark and the wiring tests need: a control plane, an emulated cloud and the
// controller's binary between them.
package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
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
	// Binary is the controller's.
	Binary string
	// ControllerEnv is added to the clouds' environment of the controllers started from now on.
	ControllerEnv []string
	// Front, if it is set, is what controllers started from now on talk to: it gives the URL of something in front of the API server that
	// acts with the rights of this configuration.
	Front func(*rest.Config) (url string, err error)
	// Race is whether steered controllers are built with the race detector, which needs cgo.
	Race bool
	// Wire, if it is set, is the address of something that carries their bytes to the API server instead.
	Wire string

	controllers []*Controller
	up          context.Context //nolint:containedctx // it lasts until a controller ends by itself, and is no caller's
	fall        context.CancelCauseFunc
}

// Start starts a cluster with Regcred's CRDs, its namespace, its RBAC rules and the policies that bound it, and healthy clouds.
func Start(ctx context.Context, plane controlplane.Options, aws cloud.Options) (*Lab, error) {
	root, err := repository()
	if err != nil {
		return nil, err
	}
	plane.CRDDirectories = append(plane.CRDDirectories, filepath.Join(root, "config", "crd"))
	lab, err := StartEmpty(ctx, plane, aws)
	if err != nil {
		return nil, err
	}
	if err := lab.install(ctx); err != nil {
		return nil, errors.Join(err, lab.Stop())
	}
	return lab, nil
}

// install applies rules and policies. The policy on tokens knows the audience of the JFrog platform, as an administrator would add it.
func (l *Lab) install(ctx context.Context) error {
	if _, err := l.Kubectl(ctx, "apply", "-k", filepath.Join(l.Root, "config", "rbac")); err != nil {
		return err
	}
	policies, err := l.Kubectl(ctx, "kustomize", filepath.Join(l.Root, "config", "policy"))
	if err != nil {
		return err
	}
	const none = "- expression: '[]'\n    name: moreAudiences"
	if !bytes.Contains(policies, []byte(none)) {
		return errors.New("config/policy has no place for more audiences of tokens")
	}
	policies = bytes.Replace(policies, []byte(none), fmt.Appendf(nil, "- expression: \"['%s']\"\n    name: moreAudiences", l.JFrog.URL()), 1)
	file, err := os.CreateTemp("", "regcred-policies-*.yaml")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // a temporary file
	if _, err := file.Write(policies); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := file.Close(); err != nil {
		return err
	}
	_, err = l.Kubectl(ctx, "apply", "-f", file.Name())
	return err
}

// StartEmpty starts a cluster without anything of Regcred, and healthy clouds.
func StartEmpty(ctx context.Context, plane controlplane.Options, aws cloud.Options) (lab *Lab, err error) {
	root, err := repository()
	if err != nil {
		return nil, err
	}
	lab = &Lab{Root: root, Binary: filepath.Join(root, "bin", "regcred")}
	lab.up, lab.fall = context.WithCancelCause(context.Background())
	defer func(started *Lab) { // a return of nil, err has set lab to nil by then
		if err != nil {
			err = errors.Join(err, started.Stop())
		}
	}(lab)
	if lab.Clouds, err = StartClouds(aws); err != nil {
		return nil, err
	}
	if lab.ControlPlane, err = controlplane.Start(ctx, plane); err != nil {
		return nil, err
	}
	if err := lab.PublishKeys(ctx, lab.Internet); err != nil {
		return nil, err
	}
	lab.Client, err = newClient(lab.Config)
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

// StartController starts the binary with the clouds' environment, and returns when it is ready.
func (l *Lab) StartController(ctx context.Context, log io.Writer, args ...string) (*Controller, error) {
	return l.StartControllerAs(ctx, Namespace, "regcred", log, append([]string{"--leader-elect"}, args...)...)
}

// StartControllerAs does so as a ServiceAccount, with no right beyond its rules.
func (l *Lab) StartControllerAs(ctx context.Context, namespace, account string, log io.Writer, args ...string) (*Controller, error) {
	kubeconfig, err := l.addServiceAccount(namespace, account)
	if err != nil {
		return nil, err
	}
	switch {
	case l.Wire != "":
		kubeconfig, err = l.overWire(kubeconfig)
	case l.Front != nil:
		kubeconfig, err = l.behindFront(namespace, account)
	}
	if err != nil {
		return nil, err
	}
	args = append([]string{"--namespace=" + namespace}, args...)
	c, err := startController(ctx, l.Binary, kubeconfig, append(l.Env(), l.ControllerEnv...), log, args)
	if err != nil {
		return nil, fmt.Errorf("starting the controller: %w", err)
	}
	l.controllers = append(l.controllers, c)
	go l.look(c)
	return c, nil
}

// addServiceAccount makes a kubeconfig of a user with the ServiceAccount's name and groups.
func (l *Lab) addServiceAccount(namespace, name string) (string, error) {
	_, kubeconfig, err := l.AddUser(userOf(namespace, name))
	return kubeconfig, err
}

// userOf is the name and the groups of a ServiceAccount.
func userOf(namespace, name string) (user string, groups []string) {
	return "system:serviceaccount:" + namespace + ":" + name,
		[]string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"}
}

// behindFront makes a kubeconfig of the front, which needs no credentials: the front has them.
func (l *Lab) behindFront(namespace, name string) (string, error) {
	config, _, err := l.AddUser(userOf(namespace, name))
	if err != nil {
		return "", err
	}
	url, err := l.Front(config)
	if err != nil {
		return "", err
	}
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters["front"] = &clientcmdapi.Cluster{Server: url}
	kubeconfig.Contexts["front"] = &clientcmdapi.Context{Cluster: "front"}
	kubeconfig.CurrentContext = "front"
	path := filepath.Join(filepath.Dir(l.Kubeconfig()), "front.kubeconfig")
	return path, clientcmd.WriteToFile(*kubeconfig, path)
}

// overWire makes a kubeconfig of the same user that leads over the wire.
func (l *Lab) overWire(kubeconfig string) (string, error) {
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		return "", err
	}
	for _, cluster := range config.Clusters {
		cluster.Server = "https://" + l.Wire
	}
	path := filepath.Join(filepath.Dir(l.Kubeconfig()), "wire.kubeconfig")
	return path, clientcmd.WriteToFile(*config, path)
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
