package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

const (
	manyNamespaces = 150
	// atOnce is how many namespaces or pods are made at the same time.
	atOnce = 8
	// oneRegion is where nothing else pulls from, so that the one token is made anew, and lives long.
	oneRegion = "eu-north-1"
	wayLabel  = "regcred.test/way"
)

// oneToken: the kubelet remembers which credentials have pulled an image, by their content or the Secret's UID. A token that is the same in
// every namespace proves itself once; of tokens that differ, each asks the registry.
func oneToken(ctx context.Context, e *e2e) (outcome, error) {
	var o outcome
	e.lab.AWS.SetTokenLife(time.Hour) // no rotation comes between; this is the last scenario
	if err := e.lab.Client.Create(ctx, oneCredential()); err != nil {
		return o, err
	}
	single, err := e.pullEverywhere(ctx, "single", cloud.ECRHost(cloud.DefaultAccount, oneRegion), func(ctx context.Context, namespace string) (*corev1.Secret, error) {
		return e.secret(ctx, namespace, oneCredential().Name)
	})
	if err != nil {
		return o, fmt.Errorf("one token: %w", err)
	}
	many, err := e.pullEverywhere(ctx, "many", registry, func(ctx context.Context, namespace string) (*corev1.Secret, error) {
		if err := e.replaceSecret(ctx, namespace); err != nil {
			return nil, err
		}
		return e.secret(ctx, namespace, naiveSecret)
	})
	if err != nil {
		return o, fmt.Errorf("a token for each: %w", err)
	}
	o.pods = single.pods + many.pods
	o.note("%d namespaces; %s", manyNamespaces, single)
	o.note("%d namespaces; %s", manyNamespaces, many)
	if many.tokens != manyNamespaces || many.later < manyNamespaces-1 {
		return o, fmt.Errorf("each token should have to prove itself: %s", many)
	}
	// Pods that start at the same time may each find that nothing is remembered yet.
	if single.tokens != 1 || single.later > many.later/10 {
		return o, fmt.Errorf("one token should not have to prove itself again and again: %s", single)
	}
	return o, nil
}

func oneCredential() *v1alpha1.ClusterRegistryCredential {
	return &v1alpha1.ClusterRegistryCredential{
		ObjectMeta: metav1.ObjectMeta{Name: "one-token"},
		Spec: v1alpha1.ClusterCredentialSpec{
			NamespaceSelector: v1alpha1.Selector{MatchLabels: map[string]v1alpha1.LabelValue{wayLabel: "single"}},
			CredentialSpec: v1alpha1.CredentialSpec{
				Registries: []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: oneRegion, Accounts: []string{cloud.DefaultAccount}}}},
			},
		},
	}
}

// effort is what pods of one image in many namespaces have cost.
type effort struct {
	pods, tokens int
	first, later int // requests at the registry: of the first pod, and of all others
}

func (f effort) String() string {
	return fmt.Sprintf("tokens in their Secrets: %d; requests at the registry: %d for the first pod, %d for the %d others", f.tokens, f.first, f.later, f.pods-1)
}

// pullEverywhere makes namespaces with a Secret, then a pod in the first of them, and when it has started one in each of the others.
func (e *e2e) pullEverywhere(
	ctx context.Context, way, host string, give func(ctx context.Context, namespace string) (*corev1.Secret, error),
) (effort, error) {
	f := effort{pods: manyNamespaces}
	const repository = "many/app"
	if err := e.seed(host, repository); err != nil {
		return f, err
	}
	secrets := make([]*corev1.Secret, manyNamespaces)
	err := inEach(ctx, 0, func(ctx context.Context, i int) (err error) {
		name := manyNamespace(way, i)
		if err := e.createLabelled(ctx, name, way); err != nil {
			return err
		}
		secrets[i], err = give(ctx, name)
		return err
	})
	if err != nil {
		return f, err
	}
	f.tokens = distinct(secrets)
	run := func(ctx context.Context, i int) error {
		_, err := e.createAndRun(ctx, manyNamespace(way, i), "app", podOptions{
			image: host + "/" + repository + ":v1", pullPolicy: corev1.PullIfNotPresent, pullSecrets: []string{secrets[i].Name}, life: podLife,
		})
		return err
	}
	began := e.registryRequests()
	if err := run(ctx, 0); err != nil {
		return f, err
	}
	f.first = e.registryRequests() - began
	if err := inEach(ctx, 1, run); err != nil {
		return f, err
	}
	f.later = e.registryRequests() - began - f.first
	return f, nil
}

func manyNamespace(way string, i int) string { return fmt.Sprintf("%s-%03d", way, i) }

// createLabelled creates a namespace in which pods can be created.
func (e *e2e) createLabelled(ctx context.Context, name, way string) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{wayLabel: way}}}
	if err := e.lab.Client.Create(ctx, namespace); err != nil {
		return err
	}
	_, err := await(ctx, e, "ServiceAccount", &corev1.ServiceAccountList{}, name, account, func(*corev1.ServiceAccount) bool { return true })
	return err
}

func distinct(secrets []*corev1.Secret) int {
	var contents []string
	for _, s := range secrets {
		contents = append(contents, string(s.Data[corev1.DockerConfigJsonKey]))
	}
	slices.Sort(contents)
	return len(slices.Compact(contents))
}

// inEach does it for the number of every namespace from the first on.
func inEach(ctx context.Context, first int, do func(context.Context, int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := first; i < manyNamespaces; i++ {
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}

// registryRequests counts what the registry was asked, refused requests included.
func (e *e2e) registryRequests() int {
	calls, n := e.lab.AWS.Calls(), 0
	for _, action := range []string{cloud.ActionPing, cloud.ActionHeadManifest, cloud.ActionGetManifest, cloud.ActionGetBlob} {
		n += calls.Of(action)
	}
	return n
}
