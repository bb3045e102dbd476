// Package node runs a real node for a control plane of package controlplane: containerd and the kubelet, as root on Linux, in namespaces
// of their own. What it pulls comes from the registries of an emulated internet.
package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/controlplane/assets"
)

// Controllers are what a node needs in the kube-controller-manager: nobody else takes the taint of a new node away.
var Controllers = []string{"node-lifecycle-controller"}

// APIServerFlags let the kubelet do what it may on a real cluster, such as read the Secrets of its own pods, and nothing else.
var APIServerFlags = map[string][]string{
	"authorization-mode":       {"Node,RBAC"},
	"enable-admission-plugins": {"NodeRestriction"},
}

// Options say what the node belongs to.
type Options struct {
	// Plane was started with Controllers and APIServerFlags.
	Plane *controlplane.ControlPlane
	// Internet has the registries.
	Internet *cloud.Internet
	// Name is that of the Node.
	Name string
	// Pause is the static binary of test/node/pause.
	Pause string
	// Verification is the kubelet's policy to begin with.
	Verification Verification
	// KubeletFlags are added to those of the kubelet.
	KubeletFlags []string
}

// Node is a running node.
type Node struct {
	opts       Options
	binaries   string
	kubeconfig string
	dir        string // of its files on the machine
	disk       string // of its files in memory, which only its own processes see
	space      *space
	kubelet    *process
}

// Missing says why this machine cannot run a node; nil if it can.
func Missing() error {
	if os.Geteuid() != 0 {
		return errors.New("a node needs root, for containers, mounts and cgroups")
	}
	var missing []string
	for _, program := range []string{"containerd", "ctr", "runc", "nsenter", "setpriv", "mount"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("a node needs %s (Debian: apt-get install containerd runc util-linux mount)", strings.Join(missing, ", "))
	}
	if points, err := cgroupHierarchies(); err != nil || len(points) == 0 {
		return errors.Join(errors.New("a node needs cgroups, and none are mounted"), err)
	}
	return tryNamespaces()
}

// Start starts a node and returns when it is Ready. ctx bounds the start only.
func Start(ctx context.Context, opts Options) (node *Node, err error) {
	if err := Missing(); err != nil {
		return nil, err
	}
	n := &Node{opts: opts}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Stop())
		}
	}()
	if n.binaries, err = assets.Find(ctx, assets.Kubelet); err != nil {
		return nil, err
	}
	if n.dir, err = os.MkdirTemp("", "regcred-node-"); err != nil {
		return nil, err
	}
	n.disk = filepath.Join(n.dir, "disk")
	if err := os.Mkdir(n.disk, 0o755); err != nil {
		return nil, err
	}
	if n.space, err = startSpace(n.disk, opts.Pause); err != nil {
		return nil, err
	}
	if err = n.startContainerd(ctx); err != nil {
		return nil, fmt.Errorf("%w%s", err, n.lastWords("containerd"))
	}
	// These are the name and the group by which the API server knows a node.
	if _, n.kubeconfig, err = opts.Plane.AddUser("system:node:"+opts.Name, []string{"system:nodes"}); err != nil {
		return nil, err
	}
	if err := n.StartKubelet(ctx, opts.Verification); err != nil {
		return nil, err
	}
	return n, nil
}

// Stop ends everything on the node at once, containers included, and leaves nothing of it on the machine. It may be called more than once.
func (n *Node) Stop() error {
	var errs []error
	if n.space != nil {
		containers := n.containers()
		n.space.close()
		n.space = nil
		errs = append(errs, removeCgroups(containers))
	}
	if n.dir != "" {
		errs = append(errs, os.RemoveAll(n.dir))
		n.dir = ""
	}
	return errors.Join(errs...)
}

// containers are the IDs of those that are there, by the directories of their shims; a node that has not started has none.
func (n *Node) containers() []string {
	entries, _ := os.ReadDir(n.space.path(filepath.Join(n.disk, "containerd-state", "io.containerd.runtime.v2.task", containerdNamespace)))
	var ids []string
	for _, entry := range entries {
		ids = append(ids, entry.Name())
	}
	return ids
}

func (n *Node) logFile(name string) string { return filepath.Join(n.dir, name+".log") }

// Log is what a program of the node, containerd or kubelet, has logged so far.
func (n *Node) Log(program string) ([]byte, error) { return os.ReadFile(n.logFile(program)) }

// lastWords is the end of a program's log, for the error that says that it did not start.
func (n *Node) lastWords(program string) string {
	const lines = 15
	content, err := n.Log(program)
	content = bytes.TrimSpace(content)
	if err != nil || len(content) == 0 {
		return ""
	}
	all := bytes.Split(content, []byte("\n"))
	return fmt.Sprintf("\n%s said last:\n%s", program, bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}
