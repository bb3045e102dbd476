package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/regcred/regcred/test/controlplane/assets"
)

const (
	managerStartTimeout = 60 * time.Second
	managerStopTimeout  = 10 * time.Second
)

// manager is a running kube-controller-manager.
type manager struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

func (cp *ControlPlane) startManager(ctx context.Context) error {
	_, kubeconfig, err := cp.AddUser("system:kube-controller-manager", []string{"system:masters"})
	if err != nil {
		return err
	}
	server := cp.env.ControlPlane.GetAPIServer()
	rootCA := filepath.Join(cp.dir, "root-ca.crt")
	if err := os.WriteFile(rootCA, server.CA, 0o600); err != nil {
		return err
	}
	path, log, err := cp.child(ctx, assets.ControllerManager)
	if err != nil {
		return err
	}

	cmd := exec.Command(path, //nolint:noctx // ctx bounds the start, the process lives until Stop
		"--kubeconfig="+kubeconfig,
		"--controllers=serviceaccount-controller,serviceaccount-token-controller,root-ca-certificate-publisher-controller,"+
			"garbage-collector-controller,namespace-controller",
		"--service-account-private-key-file="+filepath.Join(server.CertDir, "sa-signer.key"),
		"--root-ca-file="+rootCA,
		"--leader-elect=false",
		"--kube-api-qps=2000", "--kube-api-burst=4000",
		"--secure-port=0", // no port that another process could take first
	)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C at the terminal is for the parent, which then stops it
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting kube-controller-manager: %w", err)
	}
	cp.manager = &manager{cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(cp.manager.done)
	}()
	return cp.waitForManager(ctx)
}

// waitForManager waits for the first thing that only a working kube-controller-manager brings: a default ServiceAccount.
func (cp *ControlPlane) waitForManager(ctx context.Context) error {
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
		case <-cp.manager.done:
			return fmt.Errorf("kube-controller-manager ended at once: %s", cp.manager.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("waiting for kube-controller-manager: %w", ctx.Err())
		}
	}
}

func (m *manager) stop() error {
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping kube-controller-manager: %w", err)
	}
	select {
	case <-m.done:
		return nil
	case <-time.After(managerStopTimeout):
	}
	err := m.cmd.Process.Kill()
	<-m.done
	return err
}
