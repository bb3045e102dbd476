package node

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// space is a PID and a mount namespace. All processes of a node live in it, containers included, and so do its mounts: the kernel ends
// the ones and undoes the others when the first process dies, and that dies with us, even of SIGKILL.
type space struct {
	init      *exec.Cmd
	processes []*process
}

// furnish keeps mounts from spreading to the machine and gives the node what else it would write to: containerd has its shims' sockets
// below /run, and the kubelet links below /var/log, whatever their settings say. The files in /proc/sys are those that the kubelet sets
// at its start, and nobody sets back (kubernetes pkg/kubelet/cm, setupKernelTunables); it finds copies there.
const furnish = `set -e
mount --make-rprivate /
mount -t proc none /proc
mount -t tmpfs none /run
mount -t tmpfs none /var/log
mount -t tmpfs none "$1"
for file in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
	mkdir -p "/run/sys/$file"
	cat "/proc/sys/$file" >"/run/sys/$file/copy"
	mount --bind "/run/sys/$file/copy" "/proc/sys/$file"
done
echo furnished
exec "$2"
`

// tryNamespaces finds out whether root may do here what root may do on a machine of its own.
func tryNamespaces() error {
	cmd := exec.Command("sh", "-c", "mount --make-rprivate / && mount -t proc none /proc && mount -t tmpfs none /run") //nolint:noctx // it ends at once
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("a node needs namespaces and mounts, which root may not make here (is this an unprivileged container?): %w: %s",
			err, bytes.TrimSpace(out))
	}
	return nil
}

// startSpace starts the namespaces, with pause as the first process in them and an empty file system in memory at dir.
func startSpace(dir, pause string) (*space, error) {
	cmd := exec.Command("sh", "-c", furnish, "node", dir, pause) //nolint:noctx // it lives until close
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
		Setpgid:    true, // a Ctrl-C at the terminal is for the parent
	}
	var complaint strings.Builder
	cmd.Stderr = &complaint
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("making namespaces: %w", err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "furnished\n" {
		err = errors.Join(err, cmd.Wait())
		return nil, fmt.Errorf("making namespaces: %w: %s", err, strings.TrimSpace(complaint.String()))
	}
	return &space{init: cmd}, nil
}

// process is a program in the space.
type process struct {
	name string
	cmd  *exec.Cmd
	log  *os.File
	done chan struct{} // closed when the process has ended
}

// enter is the start of the command that runs something in the space. It dies with the nsenter that started it.
func (s *space) enter() []string {
	return []string{"nsenter", "--target", strconv.Itoa(s.init.Process.Pid), "--mount", "--pid", "--", "setpriv", "--pdeathsig", "KILL", "--"}
}

// start starts a program whose log is appended to the file.
func (s *space) start(logFile string, env []string, command ...string) (*process, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	args := append(s.enter(), command...)
	p := &process{name: filepath.Base(command[0]), log: log, done: make(chan struct{})}
	p.cmd = exec.Command(args[0], args[1:]...) //nolint:noctx // it lives until it is killed
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", p.name, err), log.Close())
	}
	go func() {
		_ = p.cmd.Wait()
		_ = log.Close()
		close(p.done)
	}()
	s.processes = append(s.processes, p)
	return p, nil
}

// kill ends a program without a chance to clean up. A node that loses its power does not ask either.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// path is where we find a file of the space.
func (s *space) path(inside string) string {
	return fmt.Sprintf("/proc/%d/root%s", s.init.Process.Pid, inside)
}

// close ends every process in the space.
func (s *space) close() {
	_ = s.init.Process.Kill()
	_ = s.init.Wait() // it was killed; the kernel has ended all others before this returns
	for _, p := range s.processes {
		<-p.done
	}
}
