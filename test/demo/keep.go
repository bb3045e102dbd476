package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane/assets"
)

// keepRunning leaves everything to the user, and shows every call to the cloud and every change of a Secret.
func (d *demo) keepRunning(ctx context.Context) {
	fmt.Fprintf(d.out, "\n%s\n", d.paint(bold, "It keeps running until Ctrl-C"))
	fmt.Fprintf(d.out, "\n  export KUBECONFIG=%s\n", d.lab.Kubeconfig())
	if _, err := exec.LookPath(assets.Kubectl); err != nil {
		if directory, err := assets.Find(ctx, assets.Kubectl); err == nil {
			fmt.Fprintf(d.out, "  alias kubectl=%s\n", filepath.Join(directory, assets.Kubectl))
		}
	}
	fmt.Fprintf(d.out, `
  Try:    kubectl create namespace mine && kubectl label namespace mine %s=true
          kubectl get secret,serviceaccount -n mine -o yaml
          kubectl delete secret registry-pull -n shop
          kubectl get cregcred -o wide --watch
          kubectl events --for clusterregistrycredential/registry-pull
  Watch:  calls to the cloud and changes of Secrets are shown below
          tail -f %s
          curl -s %s | grep ^regcred

`, pullLabel, d.log.Name(), d.controller.Metrics)

	const look = 500 * time.Millisecond
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	calls, secrets := d.lab.AWS.Calls(), len(d.secrets.all())
	for {
		select {
		case <-ctx.Done():
			fmt.Fprintln(d.out)
			return
		case <-ticker.C:
		}
		calls = d.showCalls(calls)
		secrets = d.showSecrets(secrets)
	}
}

// showCalls shows the calls since the last look; calls of the registry are pulls, and so the user's own.
func (d *demo) showCalls(before cloud.Calls) cloud.Calls {
	now := d.lab.AWS.Calls()
	for outcome, count := range now {
		for range count - before[outcome] {
			d.say("cloud   %s", strings.TrimSpace(outcome.Action+" "+outcome.Code))
		}
	}
	return now
}

func (d *demo) showSecrets(before int) int {
	all := d.secrets.all()
	for _, s := range all[before:] {
		if s.object.Type == corev1.SecretTypeDockerConfigJson {
			d.say("Secret  %s/%s %s", s.object.Namespace, s.object.Name, strings.ToLower(string(s.event)))
		}
	}
	return len(all)
}
