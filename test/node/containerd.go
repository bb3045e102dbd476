package node

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// containerdNamespace is that of the kubelet's containers in containerd, and the name of the cgroup that they are in.
const containerdNamespace = "k8s.io"

// SandboxImage is never pulled: it is in containerd before the first pod is. It runs as a workload, too.
const SandboxImage = "regcred.test/pause:1"

// NoHosts is a domain without hosts (RFC 6761, 6.4). The proxy would answer for them that it cannot reach them; containerd asks DNS.
const NoHosts = ".invalid"

const containerdStartTimeout = 60 * time.Second

// containerdConfig: restrict_oom_score_adj is for sandboxes without CAP_SYS_RESOURCE. The plugin opt would make a directory in /opt.
const containerdConfig = `version = 2
root = %[1]q
state = %[2]q
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
address = %[3]q

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = %[4]q
restrict_oom_score_adj = true
stream_server_address = "127.0.0.1"

[plugins."io.containerd.grpc.v1.cri".cni]
conf_dir = %[5]q

[plugins."io.containerd.grpc.v1.cri".registry]
config_path = %[6]q
`

// networkConfig must exist for the node to be Ready. The pods have the network of the node, and so no plugin is ever run.
const networkConfig = `{"cniVersion": "0.4.0", "name": "none", "plugins": [{"type": "loopback"}]}`

// hostsConfig holds for every registry that has no settings of its own.
const hostsConfig = "ca = %q\n"

func (n *Node) socket() string { return filepath.Join(n.dir, "containerd.sock") }

// startContainerd starts containerd in the emulated internet: it asks for the registries' real names, and the proxy knows where their
// emulators are. So the Host header and the server name are what they are in production, on whose hosts there are accounts and regions
// to tell apart, and a token endpoint on another host is reached in the same way.
func (n *Node) startContainerd(ctx context.Context) error {
	network, hosts := filepath.Join(n.dir, "cni"), filepath.Join(n.dir, "hosts")
	config := filepath.Join(n.dir, "containerd.toml")
	files := map[string]string{
		filepath.Join(network, "none.conflist"):        networkConfig,
		filepath.Join(hosts, "_default", "hosts.toml"): fmt.Sprintf(hostsConfig, n.opts.Internet.CAPath()),
		config: fmt.Sprintf(containerdConfig, filepath.Join(n.disk, "containerd"), filepath.Join(n.disk, "containerd-state"),
			n.socket(), SandboxImage, network, hosts),
	}
	for path, content := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return err
		}
	}
	containerd, err := n.space.start(n.logFile("containerd"), append(n.opts.Internet.Env(), "NO_PROXY="+NoHosts), "containerd", "--config", config)
	if err != nil {
		return err
	}
	if err := n.waitForContainerd(ctx, containerd); err != nil {
		return err
	}
	image, err := Image(n.opts.Pause, SandboxImage)
	if err != nil {
		return err
	}
	return n.load(ctx, SandboxImage, image)
}

func (n *Node) waitForContainerd(ctx context.Context, containerd *process) error {
	ctx, cancel := context.WithTimeout(ctx, containerdStartTimeout)
	defer cancel()
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", n.socket())
		if err == nil {
			tick.Stop()
			return conn.Close()
		}
		select {
		case <-tick.C:
		case <-containerd.done:
			return fmt.Errorf("containerd ended at once: %s", containerd.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("waiting for containerd: %w", ctx.Err())
		}
	}
}

// load puts an image into containerd past any registry.
func (n *Node) load(ctx context.Context, ref string, image v1.Image) error {
	tag, err := name.NewTag(ref)
	if err != nil {
		return err
	}
	file := filepath.Join(n.dir, "image.tar")
	if err := tarball.WriteToFile(file, tag, image); err != nil {
		return err
	}
	defer func() { _ = os.Remove(file) }() // Stop removes it, too
	args := append(n.space.enter(), "ctr", "--address", n.socket(), "--namespace", containerdNamespace, "images", "import", file)
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("loading %s: %w: %s", ref, err, out)
	}
	return nil
}
