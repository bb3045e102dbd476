// Package initialize writes what a first installation needs: values of the chart, a credential, and the commands for the cloud.
package initialize

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/access"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/migrate"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
	"github.com/regcred/regcred/controllers/diagnosis"
)

// Answers are what somebody has been asked.
type Answers struct {
	// Image is one that pods pull: its registry is what the credential is for.
	Image string
	// Name is the credential's, and so the Secret's.
	Name string
	// Namespaces are the names of those that get it; empty for all.
	Namespaces []string
	// Accounts are the ServiceAccounts that get it.
	Accounts []string
}

// identity is the ServiceAccount in the controller's namespace that asks the cloud.
const identity = "registry-pull"

// Files are the files by name.
func Files(a Answers) (map[string][]byte, error) {
	image, ok := diagnosis.ParseImage(a.Image)
	if !ok {
		return nil, fmt.Errorf("%q is no image: name one that your pods pull, such as 123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app", a.Image)
	}
	if err := a.check(); err != nil {
		return nil, err
	}
	entry, cloud := migrate.EntryFor(image.Host)
	if cloud {
		locate(entry, image)
		entry.Identity = &v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: identity}}
	} else {
		entry = &v1alpha1.Registry{Name: "static", Static: &v1alpha1.Static{Host: v1alpha1.Host(image.Host)},
			Identity: &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: identity}}}
	}
	if len(image.Repository) >= 2 {
		entry.Verify = &v1alpha1.Verify{Repository: image.Repository}
	}
	o := credential(a, *entry)
	manifest, err := migrate.Manifest(o)
	if err != nil {
		return nil, err
	}
	values, err := yaml.Marshal(map[string]any{"image": map[string]string{"repository": "REGISTRY/regcred", "tag": "TAG"}})
	if err != nil {
		return nil, err
	}
	var steps bytes.Buffer
	writeSteps(&steps, o, entry)
	return map[string][]byte{"values.yaml": values, "credential.yaml": manifest, "steps.sh": steps.Bytes()}, nil
}

// check refuses names that no object has: the files would be refused one by one later on.
func (a Answers) check() error {
	names := []struct {
		flag   string
		of     []string
		faults func(string, bool) []string
	}{
		{"--name", []string{a.Name}, validation.NameIsDNSSubdomain},
		{"--namespaces", a.Namespaces, validation.ValidateNamespaceName},
		{"--serviceaccounts", a.Accounts, validation.ValidateServiceAccountName},
	}
	for _, n := range names {
		for _, name := range n.of {
			if faults := n.faults(name, false); len(faults) > 0 {
				return fmt.Errorf("%s: %q is no name of Kubernetes: %s", n.flag, name, faults[0])
			}
		}
	}
	return nil
}

// The forms of projects and repositories of Google's. An image that names others is not for Artifact Registry.
var (
	project    = regexp.MustCompile(`^[a-z][a-z0-9-]{4,28}[a-z0-9]$`)
	repository = regexp.MustCompile(`^[a-z]([a-z0-9.-]*[a-z0-9])?$`)
)

// locate takes the project and the repository over that the image names. A host of gcr.io is a repository itself.
func locate(entry *v1alpha1.Registry, image diagnosis.Image) {
	if entry.ArtifactRegistry == nil {
		return
	}
	parts := strings.Split(image.Repository, "/")
	if !strings.HasSuffix(image.Host, "-docker.pkg.dev") {
		parts = slices.Insert(parts, 1, image.Host)
	}
	if len(parts) > 2 && project.MatchString(parts[0]) && repository.MatchString(parts[1]) {
		entry.ArtifactRegistry.Project, entry.ArtifactRegistry.Repositories = parts[0], parts[1:2]
	}
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

// writeSteps writes what to run, in order.
func writeSteps(b *bytes.Buffer, o *v1alpha1.ClusterRegistryCredential, entry *v1alpha1.Registry) {
	fmt.Fprintln(b, "#!/bin/sh")
	output.Comment(b, "1. Install Regcred. No image is released yet: make image builds one, and values.yaml names it.")
	fmt.Fprintln(b, output.Command("helm", "install", "regcred", "charts/regcred", "--namespace=regcred-system", "--create-namespace", "--values=values.yaml"))
	output.Comment(b, "2. The identity, and what it may do. What stands in capitals is for you to fill in.")
	if entry.Static != nil {
		output.Comment(b, "Take the password from a file, so that it is in no history of a shell.")
		fmt.Fprintln(b, output.Command("kubectl", "create", "secret", "generic", identity, "--namespace=regcred-system", "--from-literal=username=USER", "--from-file=password=PASSWORD-FILE"))
	}
	for _, e := range access.Of(cluster.CredentialOf(o), access.Options{Home: "regcred-system"}).Entries {
		for _, s := range e.Steps {
			output.Comment(b, s.What)
			if s.Shell != "" {
				fmt.Fprintln(b, s.Shell)
			}
		}
	}
	output.Comment(b, "3. The credential.")
	fmt.Fprintln(b, output.Command("kubectl", "apply", "-f", "credential.yaml"))
	fmt.Fprintln(b, output.Command("kubectl", "regcred", "status", "cregcred/"+o.Name, "--wait=ready"))
}
