package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/regcred/regcred/test/port"
)

// Controller is a running bin/regcred.
type Controller struct {
	// Metrics is the URL of its metrics.
	Metrics string

	cmd  *exec.Cmd
	once sync.Once
	done chan struct{}
	err  error
	log  *tail
	// mayEnd is whether its end is no news.
	mayEnd atomic.Bool

	mu    sync.Mutex
	works []Span // the last may be open
}

// startGrace and stopGrace bound how long the controller may take to get ready and to stop.
const startGrace, stopGrace = 30 * time.Second, 15 * time.Second

func startController(ctx context.Context, binary, kubeconfig string, env []string, log io.Writer, args []string) (*Controller, error) {
	metrics, err := port.Address(ctx)
	if err != nil {
		return nil, err
	}
	probes, err := port.Address(ctx)
	if err != nil {
		return nil, err
	}
	args = append([]string{
		"--kubeconfig=" + kubeconfig, "--metrics-bind-address=" + metrics, "--health-probe-bind-address=" + probes,
	}, args...)
	c, err := spawn(binary, args, env, log)
	if err != nil {
		return nil, err
	}
	c.Metrics = "http://" + metrics + "/metrics"
	if slices.Contains(args, "--metrics-secure=true") {
		c.Metrics = "https://" + metrics + "/metrics"
	}
	if err := c.waitReady(ctx, "http://"+probes+"/readyz"); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// spawn starts the process.
func spawn(binary string, args, env []string, log io.Writer) (*Controller, error) {
	c := &Controller{done: make(chan struct{}), log: &tail{to: log}}
	c.cmd = exec.Command(binary, args...) //nolint:noctx // it is stopped by a signal, as in a cluster
	c.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent"}, env...)
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	// In a group of its own: a Ctrl-C at the terminal is for the parent, which then stops it.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	c.begins()
	go func() {
		c.err = c.cmd.Wait()
		c.ends()
		close(c.done)
	}()
	return c, nil
}

func (c *Controller) waitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startGrace)
	defer cancel()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case <-c.done:
			return fmt.Errorf("it ended: %w", c.err)
		case <-ctx.Done():
			return fmt.Errorf("it was not ready within %s", startGrace)
		case <-tick.C:
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		_ = res.Body.Close()
		if res.StatusCode == http.StatusOK {
			tick.Stop()
			return nil
		}
	}
}

// Stop stops the controller as a cluster does, and fails if it does not end by itself.
func (c *Controller) Stop() error {
	var err error
	c.once.Do(func() {
		c.MayEnd()
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-c.done:
			err = c.err
		case <-time.After(stopGrace):
			err = errors.Join(fmt.Errorf("the controller did not stop within %s", stopGrace), c.cmd.Process.Kill())
		}
	})
	return err
}

// Kill ends the controller without a chance to clean up.
func (c *Controller) Kill() error {
	var err error
	c.once.Do(func() {
		c.MayEnd()
		err = c.cmd.Process.Kill()
		<-c.done
	})
	return err
}

// Pause lets the process stand still, as on a machine that hangs, and Resume lets it go on.
func (c *Controller) Pause() error {
	c.ends()
	return c.cmd.Process.Signal(syscall.SIGSTOP)
}

// Resume undoes Pause.
func (c *Controller) Resume() error {
	c.begins()
	return c.cmd.Process.Signal(syscall.SIGCONT)
}

// Ended is whether the process has ended, by itself or not.
func (c *Controller) Ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// Usage is what the controller has taken from the machine.
type Usage struct {
	CPU time.Duration
	RSS int64
	// FileRSS is the part of RSS that the kernel can read again from the executable, and so takes back when memory is short.
	FileRSS int64
	// PeakRSS is the largest RSS so far.
	PeakRSS int64
}

// Usage reads what the controller has used, from /proc.
func (c *Controller) Usage() (Usage, error) {
	dir := "/proc/" + strconv.Itoa(c.cmd.Process.Pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return Usage{}, err
	}
	// proc(5): utime and stime are the 14th and 15th field; the 2nd may hold blanks and ends with a parenthesis.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	pages, err3 := strconv.ParseInt(fields[21], 10, 64)
	const clockTick = 10 * time.Millisecond // USER_HZ is 100 on every Linux
	status, err4 := os.ReadFile(dir + "/status")
	peak, err5 := memoryIn(status, "VmHWM")
	file, err6 := memoryIn(status, "RssFile")
	usage := Usage{CPU: time.Duration(user+system) * clockTick, RSS: pages * int64(os.Getpagesize()), FileRSS: file, PeakRSS: peak}
	return usage, errors.Join(err1, err2, err3, err4, err5, err6)
}

// memoryIn reads a size from /proc/<pid>/status.
func memoryIn(status []byte, field string) (int64, error) {
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			kibibytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kibibytes << 10, err
		}
	}
	return 0, fmt.Errorf("/proc says nothing of %s", field)
}

// ReadMetrics reads the controller's metrics, in Prometheus' text format.
func (c *Controller) ReadMetrics(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Metrics, http.NoBody)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}
