package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

// mayPull is what the role of the namespace may, if nothing is said of it.
const mayPull = cloud.DefaultAccount + "/" + repository

// identity creates the ServiceAccount and its role.
func (e *e2e) identity(ctx context.Context, namespace, role string, mayGetToken bool, pull ...string) error {
	err := e.lab.AWS.AddRole(cloud.Role{
		ARN:         role,
		WebIdentity: &cloud.WebIdentity{Subject: "system:serviceaccount:" + namespace + ":" + own, Audience: "sts.amazonaws.com"},
		MayGetToken: mayGetToken, Pull: pull,
	})
	if err != nil {
		return err
	}
	return e.createAccount(ctx, namespace, own, map[string]string{"eks.amazonaws.com/role-arn": role})
}

func ownCredential(namespace string) *v1alpha1.RegistryCredential {
	return &v1alpha1.RegistryCredential{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: own},
		Spec: v1alpha1.CredentialSpec{
			Registries: []v1alpha1.Registry{{
				Name:     "prod",
				ECR:      &v1alpha1.ECR{Region: region, Accounts: []string{cloud.DefaultAccount}},
				Identity: &v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: own}},
			}},
			ServiceAccounts: &v1alpha1.ServiceAccounts{Names: []string{own}},
		},
	}
}

func (e *e2e) linked(ctx context.Context, namespace string) error {
	_, err := await(ctx, e, "ServiceAccount", &corev1.ServiceAccountList{}, namespace, own, func(sa *corev1.ServiceAccount) bool {
		return links(sa, own)
	})
	return err
}

// serve sets up a namespace in which all is well.
func (e *e2e) serve(ctx context.Context, namespace, role string, pull ...string) (*corev1.Secret, error) {
	if err := e.identity(ctx, namespace, role, true, pull...); err != nil {
		return nil, err
	}
	if err := e.lab.Client.Create(ctx, ownCredential(namespace)); err != nil {
		return nil, err
	}
	if err := e.linked(ctx, namespace); err != nil {
		return nil, err
	}
	return e.secret(ctx, namespace, own)
}

func uncoveredRegistry(ctx context.Context, e *e2e, namespace, role string) (podOptions, error) {
	_, err := e.serve(ctx, namespace, role, mayPull)
	return podOptions{account: own, image: cloud.ECRHost(cloud.DefaultAccount, "us-west-2") + "/" + repository + ":v1"}, err
}

// limitedRegistry asks everybody who shows no login for patience.
func limitedRegistry(ctx context.Context, e *e2e, namespace, role string) (podOptions, error) {
	e.lab.DockerHub.Registry.Set(cloud.Fault{Throttle: -1})
	_, err := e.serve(ctx, namespace, role, mayPull)
	return podOptions{account: own, image: "docker.io/team/app:v1"}, err
}

func noToken(ctx context.Context, e *e2e, namespace, role string) (podOptions, error) {
	if err := e.identity(ctx, namespace, role, false); err != nil {
		return podOptions{}, err
	}
	if err := e.lab.Client.Create(ctx, ownCredential(namespace)); err != nil {
		return podOptions{}, err
	}
	return podOptions{account: own}, e.linked(ctx, namespace)
}

// expiredToken takes the right to ask for tokens away, and waits until the last one has ended.
func expiredToken(ctx context.Context, e *e2e, namespace, role string) (podOptions, error) {
	if _, err := e.serve(ctx, namespace, role, mayPull); err != nil {
		return podOptions{}, err
	}
	if err := e.lab.AWS.SetPermissions(role, false, mayPull); err != nil {
		return podOptions{}, err
	}
	return podOptions{account: own}, pause(ctx, tokenLife+time.Second)
}

// revokedToken has the registry take the token no more, long before its end and before it is due to be replaced.
func revokedToken(ctx context.Context, e *e2e, namespace, role string) (podOptions, error) {
	secret, err := e.serve(ctx, namespace, role, mayPull)
	if err != nil {
		return podOptions{}, err
	}
	password, err := passwordIn(secret)
	if err != nil {
		return podOptions{}, err
	}
	if !e.lab.AWS.Revoke(password) {
		return podOptions{}, errors.New("the cloud does not know the token in the Secret")
	}
	return podOptions{account: own}, nil
}

func passwordIn(secret *corev1.Secret) (string, error) {
	var config struct {
		Auths map[string]struct{ Auth []byte }
	}
	if err := json.Unmarshal(secret.Data[corev1.DockerConfigJsonKey], &config); err != nil {
		return "", fmt.Errorf("the content of Secret %s/%s is not a docker config", secret.Namespace, secret.Name)
	}
	_, password, ok := bytes.Cut(config.Auths[registry].Auth, []byte(":"))
	if !ok {
		return "", fmt.Errorf("the Secret %s/%s holds no login for %s", secret.Namespace, secret.Name, registry)
	}
	return string(password), nil
}

func deniedRepository(ctx context.Context, e *e2e, namespace, role string) (podOptions, error) {
	_, err := e.serve(ctx, namespace, role, cloud.DefaultAccount+"/another/app")
	return podOptions{account: own}, err
}

func otherSecrets(ctx context.Context, e *e2e, namespace, role string) (podOptions, error) {
	_, err := e.serve(ctx, namespace, role, mayPull)
	return podOptions{account: own, pullSecrets: []string{"somebody-elses"}}, err
}

// beforeLink creates the pod before the credential, and lets the kubelet see it after the link.
func beforeLink(ctx context.Context, e *e2e, namespace, role string) (podOptions, error) {
	options := podOptions{account: own, gated: true}
	if err := e.identity(ctx, namespace, role, true, mayPull); err != nil {
		return options, err
	}
	if err := e.createPod(ctx, namespace, doomed, options); err != nil {
		return options, err
	}
	if err := e.lab.Client.Create(ctx, ownCredential(namespace)); err != nil {
		return options, err
	}
	if err := e.linked(ctx, namespace); err != nil {
		return options, err
	}
	if _, err := e.secret(ctx, namespace, own); err != nil {
		return options, err
	}
	return options, e.lab.Client.Patch(ctx, newPod(namespace, doomed, options),
		client.RawPatch("application/json-patch+json", []byte(`[{"op": "remove", "path": "/spec/schedulingGates"}]`)))
}

func unlinkedAccount(ctx context.Context, e *e2e, namespace, role string) (podOptions, error) {
	if _, err := e.serve(ctx, namespace, role, mayPull); err != nil {
		return podOptions{}, err
	}
	return podOptions{account: "other"}, e.createAccount(ctx, namespace, "other", nil)
}

// goneIdentity removes the identity, without which the controller does not try a token. The one in the Secret lives on, and may not pull.
func goneIdentity(ctx context.Context, e *e2e, namespace, role string) (podOptions, error) {
	options := podOptions{pullSecrets: []string{own}}
	if _, err := e.serve(ctx, namespace, role, cloud.DefaultAccount+"/another/app"); err != nil {
		return options, err
	}
	return options, e.lab.Client.Delete(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: own}})
}

// lateToken lets the pod come before the token, which is there when the failure is looked into again, and before the kubelet tries again.
func lateToken(ctx context.Context, e *e2e, namespace, role string) (podOptions, error) {
	const latency = 4500 * time.Millisecond // less than the 5 s after which what is on its way is looked for again
	options := podOptions{account: own}
	if err := e.identity(ctx, namespace, role, true, mayPull); err != nil {
		return options, err
	}
	e.lab.AWS.ECR.Set(cloud.Fault{Latency: latency})
	time.AfterFunc(latency, e.lab.AWS.ECR.Reset)
	if err := e.lab.Client.Create(ctx, ownCredential(namespace)); err != nil {
		return options, err
	}
	return options, e.linked(ctx, namespace)
}
