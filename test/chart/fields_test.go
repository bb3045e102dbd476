package chart

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
)

// mode is a way in which the chart is installed.
type mode struct {
	name   string
	values []string
	// confined is whether it serves some namespaces only, and named whether it serves some Secrets only.
	confined, named bool
	// ambient and evicts are what it allows.
	ambient, evicts bool
}

var modes = []mode{
	{name: "fields-default"},
	{name: "fields-everything", values: []string{"allowAmbientIdentity=true", "recoverPods=true", "policies.link=true"}, ambient: true, evicts: true},
	{name: "fields-secrets", named: true},
	{name: "fields-unpoliced", values: []string{"policies.enabled=false", "policies.link=false", "recoverPods=true"}, evicts: true},
	{name: "fields-namespaces", values: []string{"metrics.secure=false", "recoverPods=true"}, confined: true, evicts: true},
	{name: "fields-both", values: []string{"metrics.secure=false"}, confined: true, named: true},
}

// field is how a field is tried: created, changed and removed, each time with what comes of it.
type field struct {
	try func(*stand)
	// cluster is whether only a ClusterRegistryCredential has it.
	cluster bool
}

// fields are those of a spec, by path. What a provider alone reads is tried with the provider: in test/wiring and with its own tests.
var fields = map[string]field{
	"registries":                         {try: tryRegistries},
	"registries[].identity":              {try: tryIdentitySecret},
	"registries[].identity.account":      {try: tryIdentityAccount},
	"registries[].verify":                {try: tryVerify},
	"registries[].renewBeforePercentage": {try: tryRenewBefore},
	"registries[].override":              {try: tryOverride},
	"serviceAccounts.names":              {try: tryNames},
	"serviceAccounts.selector":           {try: trySelector},
	"serviceAccounts.recoverPods":        {try: tryRecoverPods},
	"secretName":                         {try: trySecretName},
	"secretTemplate":                     {try: trySecretTemplate},
	"deletionPolicy":                     {try: tryDeletionPolicy},
	"suspend":                            {try: trySuspend},
	"namespaceSelector":                  {try: tryNamespaceSelector, cluster: true},
}

// TestEveryFieldInEveryMode: with exactly the rights and under exactly the policies of the mode.
func TestEveryFieldInEveryMode(t *testing.T) {
	installCRDs(t)
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			began := time.Now()
			m.prepare(t)
			t.Run("all", func(t *testing.T) {
				for path, f := range fields {
					for _, kind := range m.kinds(f) {
						t.Run(kind+"/"+path, func(t *testing.T) {
							t.Parallel()
							f.try(newStand(t, m, kind, path))
						})
					}
				}
			})
			refusals := requests(t, "system:serviceaccount:"+m.name+":regcred", began, func(r controlplane.AuditRequest) bool {
				return refused(r) && (r.Subresource != "eviction" || m.evicts)
			})
			if len(refusals) > 0 {
				t.Errorf("refused to the controller: %+v", refusals)
			}
		})
	}
}

func (m mode) kinds(f field) []string {
	switch {
	case m.confined && f.cluster:
		return nil
	case m.confined:
		return []string{v1alpha1.KindRegistryCredential}
	case f.cluster:
		return []string{v1alpha1.KindClusterRegistryCredential}
	}
	return []string{v1alpha1.KindRegistryCredential, v1alpha1.KindClusterRegistryCredential}
}

// nameOf makes a name of a field's path.
func nameOf(path string) string {
	return strings.ToLower(strings.NewReplacer("[]", "", ".", "-").Replace(path))
}

// prepare installs the chart and starts its controller.
func (m mode) prepare(t *testing.T) {
	t.Helper()
	namespace(t, m.name, nil)
	for _, ns := range []string{m.name + "-own", m.name + "-selected", m.name + "-other"} {
		namespace(t, ns, map[string]string{"pull": ns})
	}
	args := []string{"--skip-crds"}
	set := slices.Clone(m.values)
	if m.confined {
		set = append(set, "watchNamespaces={"+m.name+"-own}")
	}
	if m.named {
		names := []string{"login-a", "login-b", "hub", "keys", "renamed"}
		for path := range fields {
			names = append(names, nameOf(path))
		}
		set = append(set, "secretNames={"+strings.Join(names, ",")+"}")
	}
	if len(set) > 0 {
		args = append(args, "--set", strings.Join(set, ","))
	}
	for _, home := range []string{m.name, m.name + "-own"} {
		m.identities(t, home)
	}
	install(t, m.name, args...)
	start(t, m.name)
}

// identities are what credentials get their tokens by.
func (m mode) identities(t *testing.T, home string) {
	t.Helper()
	user := cloud.User{Account: cloud.DefaultAccount, Name: home, AccessKeyID: "AKIA" + strings.ToUpper(strings.ReplaceAll(home, "-", "")),
		SecretAccessKey: cloud.CanarySTS + home, MayGetToken: true, Pull: []string{"*"}}
	world.AWS.AddUser(user)
	for name, content := range map[string]map[string]string{
		"login-a": {"username": "ci", "password": "canary-a"},
		"login-b": {"username": "ci", "password": "canary-b"},
		"hub":     {"username": home, "password": world.DockerHub.AddUser(cloud.HubUser{Name: home, Pull: []string{"acme/*"}})},
		"keys":    {"AWS_ACCESS_KEY_ID": user.AccessKeyID, "AWS_SECRET_ACCESS_KEY": user.SecretAccessKey},
	} {
		labels := map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}
		must(t, world.Client.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: name, Labels: labels}, StringData: content}))
	}
	for _, name := range []string{"puller-a", "puller-b"} {
		role := fmt.Sprintf("arn:aws:iam::%s:role/%s-%s", cloud.DefaultAccount, home, name)
		must(t, world.AWS.AddRole(cloud.Role{ARN: role, MayGetToken: true, Pull: []string{"*"},
			WebIdentity: &cloud.WebIdentity{Subject: "system:serviceaccount:" + home + ":" + name, Audience: "sts.amazonaws.com"}}))
		must(t, world.Client.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: name,
			Annotations: map[string]string{"eks.amazonaws.com/role-arn": role}}}))
	}
}

// TestEveryFieldIsTried keeps a field from being added that no mode was tried with.
func TestEveryFieldIsTried(t *testing.T) {
	raw, err := os.ReadFile(world.Root + "/config/crd/regcred.dev_clusterregistrycredentials.yaml")
	must(t, err)
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					Root schema `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	must(t, yaml.Unmarshal(raw, &crd))
	providers := []string{"ecr", "ecrPublic", "artifactRegistry", "acr", "artifactory", "static", "plugin"}
	spec, found := crd.Spec.Versions[0].Schema.Root.Properties["spec"], 0
	for _, path := range slices.Concat(spec.below("", "serviceAccounts"), spec.Properties["registries"].Items.below("registries[].", ""),
		spec.Properties["serviceAccounts"].below("serviceAccounts.", "")) {
		found++
		if _, tried := fields[path]; !tried && path != "registries[].name" && !slices.Contains(providers, strings.TrimPrefix(path, "registries[].")) {
			t.Errorf("nothing tries spec.%s", path)
		}
	}
	if found < 20 {
		t.Errorf("found %d fields only: the walk has lost its way", found)
	}
}

type schema struct {
	Properties map[string]schema `json:"properties"`
	Items      *schema           `json:"items"`
}

// below are the paths of the properties, but for one.
func (s schema) below(prefix, but string) []string {
	var paths []string
	for name := range s.Properties {
		if name != but {
			paths = append(paths, prefix+name)
		}
	}
	return paths
}

// remove deletes what a test leaves in a cluster that others use, too.
func remove(t *testing.T, o client.Object) {
	t.Helper()
	if err := client.IgnoreNotFound(world.Client.Delete(context.Background(), o)); err != nil {
		t.Error(err)
	}
}
