package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

const (
	credentialName = "soak"
	label          = "soak"
	// changeEvery is how often something comes or goes, and sampleEvery how often the controller is measured.
	changeEvery, sampleEvery = 500 * time.Millisecond, 5 * time.Second
)

// live creates what is served, and lets parts of it come and go until the time is over.
func (s *soak) live(ctx context.Context) error {
	for i := range s.namespaces {
		if err := s.create(ctx, i); err != nil {
			return err
		}
	}
	c := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: credentialName}}
	c.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{label: "yes"}
	c.Spec.Registries = []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: "eu-west-1", Accounts: []string{cloud.DefaultAccount}}}}
	c.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Names: []string{"default"}}
	if err := s.lab.Client.Create(ctx, c); err != nil {
		return err
	}
	change, sample, over := time.NewTicker(changeEvery), time.NewTicker(sampleEvery), time.NewTimer(s.lasts)
	defer change.Stop()
	defer sample.Stop()
	defer over.Stop()
	random, began := rand.New(rand.NewPCG(s.seed, 0)), time.Now()
	for {
		var err error
		select {
		case <-change.C:
			err = s.change(ctx, random)
		case <-sample.C:
			err = s.measure(ctx, time.Since(began))
		case <-over.C:
			return nil
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
	}
}

func namespaceOf(i int) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("soak-%03d", i), Labels: map[string]string{label: "yes"}}}
}

func (s *soak) create(ctx context.Context, i int) error {
	return s.lab.Client.Create(ctx, namespaceOf(i))
}

// change does one of the things that users do.
func (s *soak) change(ctx context.Context, random *rand.Rand) error {
	ns := namespaceOf(random.IntN(s.namespaces))
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: credentialName}}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "default"}}
	merge := func(o client.Object, patch string) error {
		return client.IgnoreNotFound(s.lab.Client.Patch(ctx, o, client.RawPatch("application/merge-patch+json", []byte(patch))))
	}
	switch random.IntN(6) {
	case 0:
		return client.IgnoreNotFound(s.lab.Client.Delete(ctx, secret))
	case 1:
		return merge(secret, `{"stringData":{".dockerconfigjson":"{}"}}`)
	case 2:
		return merge(account, `{"imagePullSecrets":null}`)
	case 3:
		return merge(ns, `{"metadata":{"labels":{"`+label+`":"no"}}}`)
	case 4:
		return merge(ns, `{"metadata":{"labels":{"`+label+`":"yes"}}}`)
	default: // of a name that never comes again
		ended := namespaceOf(s.namespaces + random.IntN(1<<30))
		if err := s.lab.Client.Create(ctx, ended); err != nil {
			return client.IgnoreAlreadyExists(err)
		}
		return s.lab.Client.Delete(ctx, ended)
	}
}
