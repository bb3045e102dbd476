package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/faults/history"
	"github.com/regcred/regcred/test/lab"
	"github.com/regcred/regcred/test/node"
)

const (
	// tokenLife replaces the 12 h of ECR, so that many rotations fit into the run.
	tokenLife = 30 * time.Second

	region     = "eu-west-1"
	registry   = cloud.DefaultAccount + ".dkr.ecr." + region + ".amazonaws.com"
	repository = "team/app"
	image      = registry + "/" + repository + ":v1"

	shared    = "regcred" // the ClusterRegistryCredential, and its Secrets
	pullLabel = "regcred.dev/pull"
	account   = "default" // the ServiceAccount that it links
	nodeName  = "node-1"
)

// e2e is what all scenarios share: a cluster with one node, a cloud and a controller.
type e2e struct {
	out    io.Writer
	began  time.Time
	update bool // of the files of testdata
	line   sync.Mutex

	dir        string
	log        *os.File // the controllers'
	lab        *lab.Lab
	node       *node.Node
	controller *lab.Controller
	history    *history.Recorder
	exported   *exported // what configures the kubelet's plugin
}

// say writes a line of the timeline.
func (e *e2e) say(format string, args ...any) {
	e.line.Lock()
	defer e.line.Unlock()
	fmt.Fprintf(e.out, "%6.1fs  %s\n", time.Since(e.began).Seconds(), fmt.Sprintf(format, args...))
}

func (e *e2e) start(ctx context.Context) (err error) {
	if e.dir, err = os.MkdirTemp("", "regcred-e2e-"); err != nil {
		return err
	}
	if e.log, err = os.Create(filepath.Join(e.dir, "controller.log")); err != nil {
		return err
	}
	e.lab, err = lab.StartEmpty(ctx, controlplane.Options{
		ControllerManager: true, MoreControllers: slices.Concat(node.Controllers, ownerControllers, jobControllers), Scheduler: true, APIServerFlags: node.APIServerFlags,
		AuditLog: filepath.Join(e.dir, "audit.log"),
	}, cloud.Options{TokenLife: tokenLife})
	if err != nil {
		return err
	}
	if e.history, err = history.Record(ctx, e.lab, time.Now); err != nil {
		return err
	}
	if err := e.seed(registry, repository); err != nil {
		return err
	}
	e.addOperator()
	if err := e.install(ctx, false); err != nil {
		return err
	}
	if err := e.startController(ctx); err != nil {
		return err
	}
	if err := e.lab.Client.Create(ctx, sharedCredential()); err != nil {
		return err
	}
	e.say("etcd, kube-apiserver, kube-controller-manager, kube-scheduler and the controller are up, installed from the chart")
	flags, err := e.installKubeletPlugin(ctx)
	if err != nil {
		return err
	}
	e.node, err = node.Start(ctx, node.Options{
		Plane: e.lab.ControlPlane, Internet: e.lab.Internet, Name: nodeName,
		Pause: e.pause(), Verification: node.NeverVerifyPreloadedImages, KubeletFlags: flags,
	})
	if err != nil {
		return err
	}
	e.say("containerd and the kubelet are up, and the node is Ready")
	return nil
}

// sharedCredential is for all namespaces with the label, and their default ServiceAccounts.
func sharedCredential() *v1alpha1.ClusterRegistryCredential {
	return &v1alpha1.ClusterRegistryCredential{
		ObjectMeta: metav1.ObjectMeta{Name: shared},
		Spec: v1alpha1.ClusterCredentialSpec{
			NamespaceSelector: v1alpha1.Selector{MatchLabels: map[string]v1alpha1.LabelValue{pullLabel: "true"}},
			CredentialSpec: v1alpha1.CredentialSpec{
				Registries:      []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: region, Accounts: []string{cloud.DefaultAccount}}}},
				ServiceAccounts: &v1alpha1.ServiceAccounts{Names: []string{account, probeAccount}},
			},
		},
	}
}

// pause is the static binary of every image.
func (e *e2e) pause() string { return filepath.Join(e.lab.Root, "bin", "pause") }

// seed stores an image that runs in a repository of a registry, under the tag v1.
func (e *e2e) seed(host, repository string) error {
	image, err := node.Image(e.pause(), host+"/"+repository)
	if err != nil {
		return err
	}
	_, err = e.lab.AWS.StoreImage(host, repository, "v1", image)
	return err
}

// check goes through the history of the whole run.
func (e *e2e) check() error {
	broken, err := e.history.Check()
	for _, sentence := range broken {
		err = errors.Join(err, errors.New("history: "+sentence))
	}
	if err == nil {
		e.say("✔ the audit log, the calls to the cloud, all pulls that were refused, and every version of every Secret are as they must be")
	}
	return err
}

// stop ends every process and removes every file.
func (e *e2e) stop() error {
	var errs []error
	if e.history != nil { // the API server does not end before its watches do
		errs = append(errs, e.history.Stop())
	}
	if e.node != nil {
		errs = append(errs, e.node.Stop())
	}
	if e.lab != nil {
		errs = append(errs, e.lab.Stop())
	}
	if e.log != nil {
		errs = append(errs, e.log.Close())
	}
	if e.dir != "" {
		errs = append(errs, os.RemoveAll(e.dir))
	}
	return errors.Join(errs...)
}

// showLog shows the end of the controllers' log.
func (e *e2e) showLog() {
	const most = 15
	if e.log == nil {
		return
	}
	content, err := os.ReadFile(e.log.Name())
	if err != nil {
		e.say("✘ reading the controller's log: %v", err)
		return
	}
	lines := bytes.Split(bytes.TrimSpace(content), []byte("\n"))
	e.say("the controller's log ends with:\n%s", bytes.Join(lines[max(0, len(lines)-most):], []byte("\n")))
}

// createNamespace creates a namespace, with the label that selects it or without, and waits for its default ServiceAccount.
func (e *e2e) createNamespace(ctx context.Context, name string, selected bool) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if selected {
		namespace.Labels = map[string]string{pullLabel: "true"}
	}
	if err := e.lab.Client.Create(ctx, namespace); err != nil {
		return err
	}
	_, err := await(ctx, e, "ServiceAccount", &corev1.ServiceAccountList{}, name, account, func(sa *corev1.ServiceAccount) bool {
		return !selected || links(sa, shared)
	})
	return err
}

// discard deletes namespaces of a scenario that is over, so that what is in them takes nothing from the next.
func (e *e2e) discard(ctx context.Context, names ...string) {
	for _, name := range names {
		_ = e.lab.Client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}) // what stays ends with the cluster
	}
}

// createAccount creates a ServiceAccount that nobody has linked.
func (e *e2e) createAccount(ctx context.Context, namespace, name string, annotations map[string]string) error {
	return e.lab.Client.Create(ctx, &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: annotations},
	})
}

func links(sa *corev1.ServiceAccount, secret string) bool {
	for _, reference := range sa.ImagePullSecrets {
		if reference.Name == secret {
			return true
		}
	}
	return false
}
