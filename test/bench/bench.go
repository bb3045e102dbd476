package main

import (
	"context"
	"errors"
	"fmt"
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
)

const (
	// workers is the parallelism of the bench's own writes, the same as that of the figures in the design.
	workers = 32
	// phaseLimit bounds every phase, so that a bench of a broken build ends.
	phaseLimit = 10 * time.Minute

	controllerUser = "system:serviceaccount:" + lab.Namespace + ":regcred"
	mintAction     = "ecr:GetAuthorizationToken"
	region         = "eu-west-1"
	groupLabel     = "bench" // on a namespace: what it is for
)

// bench is a lab, the controller in it and what was measured so far.
type bench struct {
	options
	*lab.Lab
	controller *lab.Controller
	// profiled is the controller, if it is built for profiles.
	profiled *lab.Steered
	// flags are those of the controller besides what every one gets.
	flags  []string
	report report

	began time.Time
	// mixed are the times in which one identity was asked for the tokens of many sources.
	mixed   []lab.Span
	log     *os.File
	scratch string
}

// newBench starts a control plane without kube-controller-manager, which would compete for the processor: nothing that is measured needs
// it, and the default ServiceAccounts are made here.
func newBench(ctx context.Context, o options) (b *bench, err error) {
	b = &bench{options: o, began: time.Now()}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.scratch, err = os.MkdirTemp("", "regcred-bench-"); err != nil {
		return nil, err
	}
	if b.log, err = os.Create(o.log); err != nil {
		return nil, err
	}
	progress("starting the control plane")
	b.Lab, err = lab.Start(ctx, controlplane.Options{AuditLog: filepath.Join(b.scratch, "audit.log")}, cloud.Options{})
	return b, err
}

// lawful is what must hold of every history, as far as the audit log and the cloud can say: who recorded each version of ten thousand Secrets
// would measure himself. The log of AWS does not tell apart the sources of one identity, so their calls are left out.
func (b *bench) lawful() error {
	h, err := history.Of(b.Lab, b.began)
	if err != nil {
		return err
	}
	h.Calls = slices.DeleteFunc(h.Calls, func(c cloud.Call) bool {
		return slices.ContainsFunc(b.mixed, func(s lab.Span) bool { return s.Overlaps(c.Began, c.Ended) })
	})
	for _, sentence := range h.Check() {
		err = errors.Join(err, errors.New("history: "+sentence))
	}
	return err
}

func (b *bench) close() error {
	var errs []error
	if b.Lab != nil {
		errs = append(errs, b.Stop())
	}
	if b.log != nil {
		errs = append(errs, b.log.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(b.scratch))...)
}

// startController starts the controller and says how long it took to get ready.
func (b *bench) startController(ctx context.Context) (time.Duration, error) {
	flags := append([]string{"--allow-ambient-identity"}, b.flags...)
	if b.profiles != "" {
		return b.startProfiled(ctx, flags)
	}
	start := time.Now()
	var err error
	b.controller, err = b.StartController(ctx, b.log, flags...)
	return time.Since(start), err
}

func (b *bench) prepareNamespaces(ctx context.Context) error {
	progress("creating %d namespaces", b.namespaces)
	return forEach(ctx, b.namespaces, func(ctx context.Context, i int) error {
		return b.createNamespace(ctx, namespaceName(i), "fan-out")
	})
}

// createNamespace makes a namespace and its default ServiceAccount. group is what credentials select by.
func (b *bench) createNamespace(ctx context.Context, name, group string) error {
	if err := b.Client.Create(ctx, namespaceOf(name, group)); err != nil {
		return err
	}
	return b.Client.Create(ctx, defaultAccount(name))
}

func namespaceOf(name, group string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{groupLabel: group}}}
}

func defaultAccount(namespace string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "default"}}
}

func namespaceName(i int) string { return fmt.Sprintf("fan-out-%05d", i) }

func clusterCredential(name, group string, accounts *v1alpha1.ServiceAccounts) *v1alpha1.ClusterRegistryCredential {
	c := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: name}}
	c.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{groupLabel: v1alpha1.LabelValue(group)}
	c.Spec.Registries = []v1alpha1.Registry{ecrOf(cloud.DefaultAccount)}
	c.Spec.ServiceAccounts = accounts
	return c
}

func ecrOf(account string) v1alpha1.Registry {
	return v1alpha1.Registry{Name: "prod", ECR: &v1alpha1.ECR{Region: region, Accounts: []string{account}}}
}

// forEach calls do for 0 to n-1 with as many workers as the controller has, and stops at the first error.
func forEach(ctx context.Context, n int, do func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i := range next {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		next <- i
	}
	close(next)
	group.Wait()
	return context.Cause(ctx)
}

// observe lets a fixed window of real time pass.
func observe(ctx context.Context, window time.Duration) error {
	timer := time.NewTimer(window)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, "… "+format+"\n", args...) }
