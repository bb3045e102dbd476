package main

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

// oneRegistry is an entry of the Secret for several registries, and an image that only it can pull.
type oneRegistry struct {
	entry            v1alpha1.Registry
	host, repository string
}

// registriesOfOneSecret are those of the scenario. Another cloud is another line here, with its emulator on the same Internet.
func registriesOfOneSecret() []oneRegistry {
	var registries []oneRegistry
	for _, region := range []string{"us-east-1", "us-west-2", "ap-southeast-2", "cn-north-1"} {
		registries = append(registries, oneRegistry{
			entry: v1alpha1.Registry{Name: region, ECR: &v1alpha1.ECR{Region: region, Accounts: []string{cloud.DefaultAccount}}},
			host:  cloud.ECRHost(cloud.DefaultAccount, region), repository: "several/" + region,
		})
	}
	return registries
}

// manyRegistries: one Secret holds the tokens of several registries, and a pod pulls from each.
func manyRegistries(ctx context.Context, e *e2e) (outcome, error) {
	const name = "several"
	var o outcome
	credential := &v1alpha1.ClusterRegistryCredential{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.ClusterCredentialSpec{
			NamespaceSelector: v1alpha1.Selector{MatchLabels: map[string]v1alpha1.LabelValue{"kubernetes.io/metadata.name": name}},
		},
	}
	var hosts []string
	for _, r := range registriesOfOneSecret() {
		if err := e.seed(r.host, r.repository); err != nil {
			return o, err
		}
		credential.Spec.Registries = append(credential.Spec.Registries, r.entry)
		hosts = append(hosts, r.host)
	}
	if err := e.createNamespace(ctx, name, false); err != nil {
		return o, err
	}
	if err := e.lab.Client.Create(ctx, credential); err != nil {
		return o, err
	}
	defer e.discard(ctx, name)
	defer e.lab.Client.Delete(ctx, credential) //nolint:errcheck // what stays ends with the cluster
	if _, err := e.secret(ctx, name, name); err != nil {
		return o, err
	}
	for i, r := range registriesOfOneSecret() {
		pod := fmt.Sprintf("pod-%d", i+1)
		options := podOptions{image: r.host + "/" + r.repository + ":v1", pullSecrets: []string{name}}
		if _, err := e.createAndRun(ctx, name, pod, options); err != nil {
			return o, err
		}
		o.pods++
	}
	failures, err := e.failedPulls(ctx, name)
	if err != nil {
		return o, err
	}
	o.failedPulls = count(failures)
	for _, host := range hosts {
		o.note("a pod pulls from %s", host)
	}
	if o.failedPulls > 0 {
		return o, fmt.Errorf("%d pulls failed%s", o.failedPulls, firstOf(failures))
	}
	return o, nil
}
