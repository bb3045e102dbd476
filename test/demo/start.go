package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/client-go/discovery"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/faults/history"
	"github.com/regcred/regcred/test/lab"
)

func (d *demo) start(ctx context.Context) error {
	var err error
	if d.dir, err = os.MkdirTemp("", "regcred-demo-"); err != nil {
		return err
	}
	if d.log, err = os.Create(filepath.Join(d.dir, "controller.log")); err != nil {
		return err
	}
	d.waiting("starting etcd, kube-apiserver and kube-controller-manager")
	began := time.Now()
	d.lab, err = lab.StartEmpty(ctx, controlplane.Options{ControllerManager: true, AuditLog: filepath.Join(d.dir, "audit.log")}, cloud.Options{TokenLife: tokenLife})
	if err != nil {
		return err
	}
	client, err := discovery.NewDiscoveryClientForConfig(d.lab.Config)
	if err != nil {
		return err
	}
	version, err := client.ServerVersion()
	if err != nil {
		return err
	}
	d.done("Kubernetes %s is up after %s", version.GitVersion, seconds(time.Since(began)))
	if err := d.prepareCloud(); err != nil {
		return err
	}
	d.done("emulated AWS is up: ECR, STS and a registry, over TLS; tokens live %.0f s instead of 12 h", tokenLife.Seconds())

	began = time.Now()
	// Metrics over HTTP, so that whoever keeps the demo can look at them without a token.
	command := []string{"install", "regcred", "charts/regcred", "--namespace", lab.Namespace, "--create-namespace", "--set", "metrics.secure=false"}
	if _, err := d.lab.Helm(ctx, command...); err != nil {
		return err
	}
	d.done("helm %s took %s", strings.Join(command, " "), seconds(time.Since(began)))

	began = time.Now()
	if d.controller, err = d.lab.StartDeployed(ctx, lab.Namespace, d.log); err != nil {
		return err
	}
	d.done("controller is ready after %s, as the chart's Deployment says and with the rights of ServiceAccount %s/regcred and no others",
		brief(time.Since(began)), lab.Namespace)
	return d.watchAll(ctx)
}

// prepareCloud stores the image, and adds the role of config/samples/registrycredential.yaml.
func (d *demo) prepareCloud() error {
	if _, err := d.lab.AWS.SeedImage(registry, repository, "v1"); err != nil {
		return err
	}
	return d.lab.AWS.AddRole(cloud.Role{
		ARN:         teamRole,
		WebIdentity: &cloud.WebIdentity{Subject: "system:serviceaccount:team-a:ecr-puller", Audience: "sts.amazonaws.com"},
		MayGetToken: true,
		Pull:        []string{cloud.DefaultAccount + "/team/*"},
	})
}

// watchAll starts watches that live until the demo stops, and not only as long as a step.
func (d *demo) watchAll(ctx context.Context) (err error) {
	if d.history, err = history.Record(ctx, d.lab, time.Now); err != nil {
		return err
	}
	ctx, d.endWatches = context.WithCancel(context.WithoutCancel(ctx))
	c := d.lab.Client
	if d.namespaces, err = observe[*corev1.Namespace](ctx, c, &corev1.NamespaceList{}); err != nil {
		return err
	}
	if d.accounts, err = observe[*corev1.ServiceAccount](ctx, c, &corev1.ServiceAccountList{}); err != nil {
		return err
	}
	if d.secrets, err = observe[*corev1.Secret](ctx, c, &corev1.SecretList{}); err != nil {
		return err
	}
	if d.clusterCRs, err = observe[*v1alpha1.ClusterRegistryCredential](ctx, c, &v1alpha1.ClusterRegistryCredentialList{}); err != nil {
		return err
	}
	if d.ownCRs, err = observe[*v1alpha1.RegistryCredential](ctx, c, &v1alpha1.RegistryCredentialList{}); err != nil {
		return err
	}
	d.events, err = observe[*eventsv1.Event](ctx, c, &eventsv1.EventList{})
	return err
}
