package plugin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	// maxAnswer bounds what is read of an answer; the largest legitimate one has a token of a few kilobytes for each of a Secret's hosts.
	maxAnswer = 256 << 10
	// maxAtOnce bounds the processes of one plugin: one written in Go takes some 30 MiB, and a plugin that hangs must not take the
	// turns of the others.
	maxAtOnce = 4
	// lastWords is how long a plugin's output is awaited after its end: whoever holds it open then has been left behind.
	lastWords = time.Second
)

// inherited are the variables of the controller's own environment that a plugin gets: how to find programs and files, and the way to the
// internet. The kubelet hands over everything; a pod's environment holds credentials that no plugin was given.
var inherited = []string{
	"PATH", "HOME", "TMPDIR",
	"HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR",
}

func inheritedEnv() []string {
	var env []string
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// program is what is executed of a plugin.
type program struct {
	path      string
	args, env []string
	// turns holds a place for every process that may run.
	turns chan struct{}
}

var errTooLarge = errors.New("the answer is too large")

// run executes the program once, with input as its standard input, and returns its standard output. When ctx ends the program is killed
// with all that it has started. Its standard error is read if somebody wants to: it is written for people, and may quote what must not be
// shown.
func (p *program) run(ctx context.Context, input []byte, stderr io.Writer) ([]byte, error) {
	select {
	case p.turns <- struct{}{}:
		defer func() { <-p.turns }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	output := &bounded{full: func() { cancel(errTooLarge) }}
	cmd := exec.CommandContext(ctx, p.path, p.args...) //nolint:gosec // the administrator's configuration names it, and no request
	cmd.Env, cmd.Stdin, cmd.Stdout = p.env, bytes.NewReader(input), output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = lastWords
	if stderr != nil {
		cmd.Stderr = stderr
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	err := cmd.Wait()
	endGroup(cmd.Process.Pid)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, err
	}
	return output.buffer.Bytes(), nil
}

// endGroup kills what a program has left behind. In a container the controller is the first process and inherits those that lost their
// parent: it collects them, or they would stay in the process table for ever.
func endGroup(group int) {
	_ = syscall.Kill(-group, syscall.SIGKILL)
	go collect(group)
}

func collect(group int) {
	for {
		if _, err := syscall.Wait4(-group, nil, 0, nil); err != nil && !errors.Is(err, syscall.EINTR) {
			return
		}
	}
}

// bounded keeps what is written to it, up to maxAnswer; of more it keeps nothing and calls full.
// The buffer is not embedded: its ReadFrom would be used instead of Write.
type bounded struct {
	buffer bytes.Buffer
	full   func()
}

func (b *bounded) Write(data []byte) (int, error) {
	if b.buffer.Len()+len(data) > maxAnswer {
		b.full()
		return 0, errTooLarge
	}
	return b.buffer.Write(data)
}
