package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/regcred/regcred/test/controlplane/assets"
)

const componentStopTimeout = 10 * time.Second

// component is a running process of the control plane that envtest does not know.
type component struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

// startComponent starts a binary that lives until Stop.
func (cp *ControlPlane) startComponent(ctx context.Context, name string, args ...string) (*component, error) {
	path, log, err := cp.child(ctx, name)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...) //nolint:noctx // ctx bounds the start, the process lives until Stop
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C at the terminal is for the parent, which then stops it
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	c := &component{name: name, cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(c.done)
	}()
	cp.components = append(cp.components, c)
	return c, nil
}

// startScheduler does not wait: until it is at work, a pod is Pending.
func (cp *ControlPlane) startScheduler(ctx context.Context) error {
	_, kubeconfig, err := cp.AddUser("system:kube-scheduler", []string{"system:masters"})
	if err != nil {
		return err
	}
	_, err = cp.startComponent(ctx, assets.Scheduler, "--kubeconfig="+kubeconfig, "--leader-elect=false",
		"--kube-api-qps=2000", "--kube-api-burst=4000",
		"--secure-port=0") // no port that another process could take first
	return err
}

func (c *component) stop() error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping %s: %w", c.name, err)
	}
	select {
	case <-c.done:
		return nil
	case <-time.After(componentStopTimeout):
	}
	err := c.cmd.Process.Kill()
	<-c.done
	return err
}
