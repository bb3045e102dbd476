// Package initialize writes what a first installation needs: values of the chart, a credential, and the commands for the cloud.
package initialize

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/access"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/migrate"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
	"github.com/regcred/regcred/controllers/diagnosis"
)

const (
	// identity is the object in the controller's namespace that is the identity, if the controller is not.
	identity = "registry-pull"
	// release is that of the chart, and so the name of the controller's ServiceAccount.
	release = "regcred"
	home    = "regcred-system"
)

// Files are the files by name.
func Files(a Answers) (map[string][]byte, error) {
	entry := a.entry()
	o := credential(a, *entry)
	manifest, err := migrate.Manifest(o)
	if err != nil {
		return nil, err
	}
	needed := access.Of(cluster.CredentialOf(o), access.Options{Home: home, Account: a.awsOrGoogle(), Controller: release}).Entries
	values, err := a.values(needed)
	if err != nil {
		return nil, err
	}
	var steps bytes.Buffer
	a.writeSteps(&steps, entry, needed)
	return map[string][]byte{"values.yaml": values, "credential.yaml": manifest, "steps.sh": steps.Bytes()}, nil
}

// awsOrGoogle is the account where its kind is one that commands name.
func (a *Answers) awsOrGoogle() string {
	if a.Cloud == azure {
		return ""
	}
	return a.Account
}

// entry is the registry entry.
func (a *Answers) entry() *v1alpha1.Registry {
	image, _ := diagnosis.ParseImage(a.Registry + "/x")
	entry, _ := migrate.EntryFor(image.Host)
	if a.Cloud == none {
		entry = &v1alpha1.Registry{Name: "static", Static: &v1alpha1.Static{Host: v1alpha1.Host(image.Host)},
			Identity: &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: identity}}}
	} else if a.Identity == ServiceAccount {
		entry.Identity = &v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: identity}}
	}
	if entry.ACR != nil {
		entry.ACR.TenantID = a.Account
	}
	if a.image.Host != image.Host {
		return entry
	}
	if project, repository := repositoryIn(a.image); entry.ArtifactRegistry != nil && project != "" {
		entry.ArtifactRegistry.Project, entry.ArtifactRegistry.Repositories = project, []string{repository}
	}
	if len(a.image.Repository) >= 2 {
		entry.Verify = &v1alpha1.Verify{Repository: a.image.Repository}
	}
	return entry
}

// The forms of projects and repositories of Google's. An image that names others is not for Artifact Registry.
var (
	project    = regexp.MustCompile(`^[a-z][a-z0-9-]{4,28}[a-z0-9]$`)
	repository = regexp.MustCompile(`^[a-z]([a-z0-9.-]*[a-z0-9])?$`)
)

// repositoryIn are the project and the repository that an image of Google's names; empty if it is none. A host of gcr.io is a repository itself.
func repositoryIn(image diagnosis.Image) (ofProject, name string) {
	if cloudOf(image.Host) != google {
		return "", ""
	}
	parts := strings.Split(image.Repository, "/")
	if !strings.HasSuffix(image.Host, "-docker.pkg.dev") {
		parts = slices.Insert(parts, 1, image.Host)
	}
	if len(parts) > 2 && project.MatchString(parts[0]) && repository.MatchString(parts[1]) {
		return parts[0], parts[1]
	}
	return "", ""
}

func credential(a Answers, entry v1alpha1.Registry) *v1alpha1.ClusterRegistryCredential {
	o := &v1alpha1.ClusterRegistryCredential{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.KindClusterRegistryCredential},
		ObjectMeta: metav1.ObjectMeta{Name: a.Name},
		Spec: v1alpha1.ClusterCredentialSpec{CredentialSpec: v1alpha1.CredentialSpec{
			Registries: []v1alpha1.Registry{entry}, ServiceAccounts: &v1alpha1.ServiceAccounts{Names: a.Accounts},
		}},
	}
	if len(a.Namespaces) > 0 {
		var values []v1alpha1.LabelValue
		for _, namespace := range slices.Compact(slices.Sorted(slices.Values(a.Namespaces))) {
			values = append(values, v1alpha1.LabelValue(namespace))
		}
		o.Spec.NamespaceSelector = v1alpha1.Selector{MatchExpressions: []v1alpha1.SelectorRequirement{
			{Key: "kubernetes.io/metadata.name", Operator: metav1.LabelSelectorOpIn, Values: values},
		}}
	}
	return o
}

// presets are what the controller must reach in each cloud.
var presets = map[string]string{aws: "aws", google: "gke", azure: "azure"}

// values are those that an installation for the cloud sets.
func (a *Answers) values(needed []access.Entry) ([]byte, error) {
	values := map[string]any{
		"image":    map[string]string{"repository": "REGISTRY/regcred", "tag": "TAG"},
		"policies": map[string]bool{"enabled": true},
	}
	comment := "What stands in capitals is for you to fill in."
	if preset := presets[a.Cloud]; preset != "" {
		comment += " The presets close all ports but those of DNS, HTTPS and the API server: see docs/network.md."
		values["networkPolicy"] = map[string]any{"presets": []string{preset}}
	}
	if annotations := needed[0].Annotations; a.Identity == Controller && len(annotations) > 0 {
		values["serviceAccount"] = map[string]any{"annotations": annotations}
	}
	if a.Cloud == azure && a.Identity == Controller {
		values["podLabels"] = map[string]string{"azure.workload.identity/use": "true"}
	}
	raw, err := yaml.Marshal(values)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	output.Comment(&b, comment)
	b.Write(raw)
	return b.Bytes(), nil
}

// writeSteps writes what to run, in order. The controller's own identity is there before its pods are, and the namespace before an identity in it.
func (a *Answers) writeSteps(b *bytes.Buffer, entry *v1alpha1.Registry, needed []access.Entry) {
	fmt.Fprintln(b, "#!/bin/sh")
	steps := []func(int){
		func(n int) {
			output.Comment(b, fmt.Sprintf("%d. Install Regcred. No image is released yet: make image builds one, and values.yaml names it.", n))
			fmt.Fprintln(b, output.Command("helm", "install", release, "charts/regcred", "--namespace="+home, "--create-namespace", "--values=values.yaml"))
		},
		func(n int) {
			output.Comment(b, fmt.Sprintf("%d. The identity, and what it may do. What stands in capitals is for you to fill in, in values.yaml, too.", n))
			if entry.Static != nil {
				output.Comment(b, "Take the password from a file, so that it is in no history of a shell.")
				fmt.Fprintln(b, output.Command("kubectl", "create", "secret", "generic", identity, "--namespace="+home, "--from-literal=username=USER", "--from-file=password=PASSWORD-FILE"))
			}
			for _, e := range needed {
				for _, s := range e.Steps {
					output.Comment(b, s.What)
					if s.Shell != "" {
						fmt.Fprintln(b, s.Shell)
					}
				}
			}
		},
	}
	if entry.Identity == nil {
		slices.Reverse(steps)
	}
	for n, step := range steps {
		step(n + 1)
	}
	output.Comment(b, "3. The credential.")
	fmt.Fprintln(b, output.Command("kubectl", "apply", "-f", "credential.yaml"))
	fmt.Fprintln(b, output.Command("kubectl", "regcred", "status", "cregcred/"+a.Name, "--wait=ready"))
}
