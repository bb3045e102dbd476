package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/regcred/regcred/test/controlplane/assets"
)

const managerStartTimeout = 60 * time.Second

// usualControllers are those that Regcred's own objects need: ServiceAccounts, owner references and namespaces that end.
var usualControllers = []string{
	"serviceaccount-controller", "serviceaccount-token-controller", "root-ca-certificate-publisher-controller",
	"garbage-collector-controller", "namespace-controller",
}

func (cp *ControlPlane) startManager(ctx context.Context, more []string) error {
	_, kubeconfig, err := cp.AddUser("system:kube-controller-manager", []string{"system:masters"})
	if err != nil {
		return err
	}
	server := cp.env.ControlPlane.GetAPIServer()
	rootCA := filepath.Join(cp.dir, "root-ca.crt")
	if err := os.WriteFile(rootCA, server.CA, 0o600); err != nil {
		return err
	}
	manager, err := cp.startComponent(ctx, assets.ControllerManager,
		"--kubeconfig="+kubeconfig,
		"--controllers="+strings.Join(slices.Concat(usualControllers, more), ","),
		"--service-account-private-key-file="+filepath.Join(server.CertDir, "sa-signer.key"),
		"--root-ca-file="+rootCA,
		"--leader-elect=false",
		"--kube-api-qps=2000", "--kube-api-burst=4000",
		"--secure-port=0", // no port that another process could take first
	)
	if err != nil {
		return err
	}
	return cp.waitForManager(ctx, manager)
}

// waitForManager waits for the first thing that only a working kube-controller-manager brings: a default ServiceAccount.
func (cp *ControlPlane) waitForManager(ctx context.Context, manager *component) error {
	ctx, cancel := context.WithTimeout(ctx, managerStartTimeout)
	defer cancel()
	clients, err := kubernetes.NewForConfig(cp.Config)
	if err != nil {
		return err
	}
	accounts, err := clients.CoreV1().ServiceAccounts("default").Watch(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, "default").String(),
	})
	if err != nil {
		return fmt.Errorf("waiting for kube-controller-manager: %w", err)
	}
	defer accounts.Stop()
	for {
		select {
		case event, open := <-accounts.ResultChan():
			if event.Type == watch.Added {
				return nil
			}
			if !open {
				return errors.New("waiting for kube-controller-manager: no default ServiceAccount before the watch ended")
			}
		case <-manager.done:
			return fmt.Errorf("kube-controller-manager ended at once: %s", manager.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("waiting for kube-controller-manager: %w", ctx.Err())
		}
	}
}
