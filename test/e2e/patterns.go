package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

// patterns: a pod names the Secret (A), or its ServiceAccount does (B); and a Secret is only for the ServiceAccount that it is linked to,
// and only good for what its own identity may pull.
func patterns(ctx context.Context, e *e2e) (outcome, error) {
	const open, fenced = "patterns", "patterns-fenced"
	var o outcome
	defer e.discard(ctx, open, fenced)
	if err := errors.Join(e.createNamespace(ctx, open, true), e.createNamespace(ctx, fenced, false)); err != nil {
		return o, err
	}
	if err := e.createAccount(ctx, open, "unlinked", nil); err != nil {
		return o, err
	}
	if err := e.fence(ctx, fenced); err != nil {
		return o, err
	}
	const private = registry + "/" + privateRepository + ":v1"
	for _, run := range []struct {
		namespace, pod string
		options        podOptions
		note           string
	}{
		{open, "names-the-secret", podOptions{account: "unlinked", pullSecrets: []string{shared}}, "a pod names the Secret: it runs"},
		{open, "inherits-the-secret", podOptions{}, "a pod inherits the Secret from its ServiceAccount: it runs"},
		{fenced, "dedicated", podOptions{account: dedicated, image: private}, "a pod of the dedicated ServiceAccount: it runs"},
	} {
		if _, err := e.createAndRun(ctx, run.namespace, run.pod, run.options); err != nil {
			return o, err
		}
		o.pods++
		o.note("%s", run.note)
	}
	for _, refuse := range []struct {
		pod     string
		options podOptions
		word    string // of containerd, in the kubelet's event
		note    string
	}{
		{"other", podOptions{account: "other", image: private}, "401", "one of another ServiceAccount beside it: 401"},
		{"elsewhere", podOptions{account: dedicated}, "403", "one of the dedicated ServiceAccount, for a repository that is not its own: 403"},
	} {
		if err := e.createPod(ctx, fenced, refuse.pod, refuse.options); err != nil {
			return o, err
		}
		o.pods++
		words, err := e.refused(ctx, fenced, refuse.pod)
		if err != nil {
			return o, fmt.Errorf("the pull of pod %s should have been refused: %w", refuse.pod, err)
		}
		if !strings.Contains(words, refuse.word) {
			return o, fmt.Errorf("the pull of pod %s failed for another reason than %s: %s", refuse.pod, refuse.word, words)
		}
		o.failedPulls++
		o.note("%s", refuse.note)
		if err := e.lab.Client.Delete(ctx, newPod(fenced, refuse.pod, refuse.options)); err != nil {
			return o, err
		}
	}
	return o, nil
}

const (
	privateRepository = "private/app"
	privateRole       = "arn:aws:iam::" + cloud.DefaultAccount + ":role/private-pull"
	dedicated         = "dedicated"
)

// fence sets up a ServiceAccount with a credential of its own, of a role that may pull one repository, and another one without.
func (e *e2e) fence(ctx context.Context, namespace string) error {
	if err := e.seed(registry, privateRepository); err != nil {
		return err
	}
	err := e.lab.AWS.AddRole(cloud.Role{
		ARN:         privateRole,
		WebIdentity: &cloud.WebIdentity{Subject: "system:serviceaccount:" + namespace + ":" + dedicated, Audience: "sts.amazonaws.com"},
		MayGetToken: true,
		Pull:        []string{cloud.DefaultAccount + "/" + privateRepository},
	})
	if err != nil {
		return err
	}
	if err := e.createAccount(ctx, namespace, dedicated, map[string]string{"eks.amazonaws.com/role-arn": privateRole}); err != nil {
		return err
	}
	if err := e.createAccount(ctx, namespace, "other", nil); err != nil {
		return err
	}
	err = e.lab.Client.Create(ctx, &v1alpha1.RegistryCredential{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "private"},
		Spec: v1alpha1.CredentialSpec{
			Registries: []v1alpha1.Registry{{
				Name:     "private",
				ECR:      &v1alpha1.ECR{Region: region, Accounts: []string{cloud.DefaultAccount}},
				Identity: &v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: dedicated}},
			}},
			ServiceAccounts: &v1alpha1.ServiceAccounts{Names: []string{dedicated}},
		},
	})
	if err != nil {
		return err
	}
	if _, err := e.secret(ctx, namespace, "private"); err != nil {
		return err
	}
	_, err = await(ctx, e, "ServiceAccount", &corev1.ServiceAccountList{}, namespace, dedicated, func(sa *corev1.ServiceAccount) bool {
		return links(sa, "private")
	})
	return err
}
