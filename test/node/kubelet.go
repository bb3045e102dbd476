package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/regcred/regcred/test/controlplane/assets"
	"github.com/regcred/regcred/test/port"
)

// Verification is the kubelet's policy for an image that is on the node already: whether a pod must prove that it could pull it
// (KubeletEnsureSecretPulledImages, imagePullCredentialsVerificationPolicy).
type Verification string

// The policies. NeverVerifyPreloadedImages is the kubelet's default.
const (
	NeverVerify                  Verification = "NeverVerify"
	NeverVerifyPreloadedImages   Verification = "NeverVerifyPreloadedImages"
	NeverVerifyAllowlistedImages Verification = "NeverVerifyAllowlistedImages"
	AlwaysVerify                 Verification = "AlwaysVerify"
)

// kubeletStartTimeout is long because a machine may be busy with other things, too.
const kubeletStartTimeout = 2 * time.Minute

// kubeletConfig leaves out what a machine with other uses cannot give, such as a cgroup per QoS class, and every limit of the kubelet's
// own on pulls and events: what fails here must fail for want of a credential.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 127.0.0.1
port: %[1]d
healthzPort: 0
readOnlyPort: 0
authentication: {anonymous: {enabled: false}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow} # nobody can authenticate
containerRuntimeEndpoint: unix://%[2]s
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: false
evictionHard: {memory.available: 1Mi, nodefs.available: 0%%, imagefs.available: 0%%, nodefs.inodesFree: 0%%}
imageGCHighThresholdPercent: 100
imageMinimumGCAge: 24h
makeIPTablesUtilChains: false
podLogsDir: %[3]s/pods
volumePluginDir: %[3]s/plugins
resolvConf: ""
maxPods: 500
serializeImagePulls: false
registryPullQPS: 0
eventRecordQPS: 0
kubeAPIQPS: 500
kubeAPIBurst: 1000
nodeStatusUpdateFrequency: 5s
shutdownGracePeriod: 0s
imagePullCredentialsVerificationPolicy: %[4]s
`

// StartKubelet starts the kubelet, or starts it anew with another policy, and returns when the node is Ready. Pods keep running meanwhile.
func (n *Node) StartKubelet(ctx context.Context, policy Verification) error {
	ctx, cancel := context.WithTimeout(ctx, kubeletStartTimeout)
	defer cancel()
	if n.kubelet != nil {
		n.kubelet.kill()
	}
	listening, err := port.Free(ctx)
	if err != nil {
		return err
	}
	data := filepath.Join(n.disk, "kubelet")
	config := filepath.Join(n.dir, "kubelet.yaml")
	content := fmt.Sprintf(kubeletConfig, listening, n.socket(), n.disk, policy)
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		return err
	}
	began := time.Now()
	n.kubelet, err = n.space.start(n.logFile("kubelet"), nil, append([]string{
		filepath.Join(n.binaries, assets.Kubelet), "--config=" + config, "--kubeconfig=" + n.kubeconfig, "--hostname-override=" + n.opts.Name,
		"--root-dir=" + data, "--cert-dir=" + filepath.Join(data, "pki"),
	}, n.opts.KubeletFlags...)...)
	if err != nil {
		return err
	}
	return n.waitReady(ctx, began)
}

// waitReady waits for a Ready that this kubelet has reported, and not the one before.
func (n *Node) waitReady(ctx context.Context, began time.Time) error {
	clients, err := kubernetes.NewForConfig(n.opts.Plane.Config)
	if err != nil {
		return err
	}
	nodes, err := clients.CoreV1().Nodes().Watch(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, n.opts.Name).String(),
	})
	if err != nil {
		return fmt.Errorf("waiting for the node: %w", err)
	}
	defer nodes.Stop()
	last := "it has not registered"
	for {
		select {
		case event, open := <-nodes.ResultChan():
			if !open {
				return errors.New("waiting for the node: the watch has ended")
			}
			node, ok := event.Object.(*corev1.Node)
			if !ok || event.Type == watch.Deleted {
				continue
			}
			for _, c := range node.Status.Conditions {
				if c.Type != corev1.NodeReady {
					continue
				}
				// The API has whole seconds.
				if fresh := !c.LastHeartbeatTime.Time.Before(began.Truncate(time.Second)); fresh && c.Status == corev1.ConditionTrue && !tainted(node) {
					return nil
				}
				last = c.Message
			}
		case <-n.kubelet.done:
			return fmt.Errorf("the kubelet ended at once: %s%s", n.kubelet.cmd.ProcessState, n.lastWords("kubelet"))
		case <-ctx.Done():
			return fmt.Errorf("waiting for the node to be Ready: %w (%s)%s", ctx.Err(), last, n.lastWords("kubelet"))
		}
	}
}

func tainted(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeNotReady })
}
