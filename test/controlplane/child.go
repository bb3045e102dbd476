package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// child gives the path under which to run a binary and the file for its log. The path is that of a script which says
// what process the child is, for Crash, and has the kernel kill it when its parent dies: a test that panics or times out stops nothing.
func (cp *ControlPlane) child(ctx context.Context, name string) (string, *os.File, error) {
	log, err := os.OpenFile(cp.logFile(name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return "", nil, err
	}
	run := quote(filepath.Join(cp.binaries, name))
	if canSetDeathSignal(ctx) {
		run = "setpriv --pdeathsig KILL -- " + run
	}
	script := filepath.Join(cp.dir, name)
	content := fmt.Sprintf("#!/bin/sh\necho $$ > %s\nexec %s \"$@\"\n", quote(cp.pidFile(name)), run)
	return script, log, os.WriteFile(script, []byte(content), 0o700)
}

// canSetDeathSignal is false outside Linux and with an old util-linux.
func canSetDeathSignal(ctx context.Context) bool {
	return exec.CommandContext(ctx, "setpriv", "--pdeathsig", "KILL", "true").Run() == nil
}

func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

func (cp *ControlPlane) pidFile(name string) string { return filepath.Join(cp.dir, name+".pid") }

func (cp *ControlPlane) logFile(name string) string { return filepath.Join(cp.dir, name+".log") }

// lastWords is the end of a child's log, for the error that says that it did not start.
func (cp *ControlPlane) lastWords(name string) string {
	const lines, most = 15, 4096
	content, err := os.ReadFile(cp.logFile(name))
	content = bytes.TrimSpace(content)
	if err != nil || len(content) == 0 {
		return ""
	}
	all := bytes.Split(content, []byte("\n"))
	words := bytes.Join(all[max(0, len(all)-lines):], []byte("\n"))
	return fmt.Sprintf("\n%s said last:\n%s", name, words[max(0, len(words)-most):])
}
