package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/lab"
)

// install installs the chart or changes its values, with the policy that links a ServiceAccount at its creation or without. It has no
// replicas, because nobody here routes a pod to the API server: the controller is a process beside the cluster.
func (e *e2e) install(ctx context.Context, link bool) error {
	tool := exec.CommandContext(ctx, "go", "tool", "-modfile=tools/go.mod", "-n", "helm")
	tool.Dir, tool.Stderr = e.lab.Root, os.Stderr
	path, err := tool.Output()
	if err != nil {
		return fmt.Errorf("building helm: %w", err)
	}
	cmd := exec.CommandContext(ctx, strings.TrimSpace(string(path)), "upgrade", "--install", "regcred", "charts/regcred",
		"--namespace", lab.Namespace, "--create-namespace", "--set", "replicas=0,recoverPods=true,metrics.secure=false", "--set", "policies.link="+strconv.FormatBool(link),
		"--set", "policies.tokenAudiences={https://"+cloud.DefaultJFrogHost+"}")
	home := filepath.Join(e.dir, "helm")
	cmd.Dir = e.lab.Root
	cmd.Env = append(os.Environ(), "KUBECONFIG="+e.lab.Kubeconfig(),
		"HELM_CACHE_HOME="+home+"/cache", "HELM_CONFIG_HOME="+home+"/config", "HELM_DATA_HOME="+home+"/data")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("installing the chart: %w: %s", err, lastLine(out))
	}
	return nil
}

// startController starts a controller with the arguments and as the ServiceAccount of the Deployment. It is the one that is stopped next.
func (e *e2e) startController(ctx context.Context) error {
	deployment := &appsv1.Deployment{}
	if err := e.lab.Client.Get(ctx, client.ObjectKey{Namespace: lab.Namespace, Name: "regcred"}, deployment); err != nil {
		return err
	}
	pod := deployment.Spec.Template.Spec
	// The addresses are this machine's business.
	args := slices.DeleteFunc(pod.Containers[0].Args, func(arg string) bool { return strings.Contains(arg, "-bind-address=") })
	var err error
	e.controller, err = e.lab.StartControllerAs(ctx, lab.Namespace, pod.ServiceAccountName, e.log, args...)
	return err
}
