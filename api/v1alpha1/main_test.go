package v1alpha1_test

import (
	"context"
	"os"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"

	"github.com/regcred/regcred/test/controlplane"
)

var cp *controlplane.ControlPlane

func TestMain(m *testing.M) {
	opts := controlplane.Options{CRDDirectories: []string{"../../config/crd"}}
	os.Exit(controlplane.RunTests(m, opts, func(started *controlplane.ControlPlane) { cp = started }))
}

// kind is one of the two kinds with an object that uses every field of its spec, and a status that uses every field.
type kind struct {
	resource  string
	namespace string
	crd       string
	object    string
	status    string
}

var namespaced = kind{
	resource:  "registrycredentials",
	namespace: metav1.NamespaceDefault,
	crd:       "../../config/crd/regcred.dev_registrycredentials.yaml",
	object:    "apiVersion: regcred.dev/v1alpha1\nkind: RegistryCredential\nmetadata: {name: good}\nspec:" + commonSpec,
	status:    commonStatus,
}

var clusterScoped = kind{
	resource: "clusterregistrycredentials",
	crd:      "../../config/crd/regcred.dev_clusterregistrycredentials.yaml",
	object: "apiVersion: regcred.dev/v1alpha1\nkind: ClusterRegistryCredential\nmetadata: {name: good}\nspec:" + commonSpec + `
  namespaceSelector:
    matchLabels: {regcred.dev/pull: "true"}
    matchExpressions:
    - {key: team, operator: In, values: [a, b]}`,
	status: commonStatus + `
namespaces: {selected: 214, current: 213, conflicting: 1}
failures: [{reason: SecretConflict, count: 1, message: A foreign Secret is in the way., namespaces: [team-a]}]`,
}

var kinds = []kind{namespaced, clusterScoped}

const commonSpec = `
  registries:
  - name: prod
    ecr:
      region: eu-west-1
      accounts: ["123456789012"]
      roleARN: arn:aws:iam::123456789012:role/pull
      externalID: regcred
      apiEndpoint: https://vpce-0123456789abcdef0-abcdefgh.api.ecr.eu-west-1.vpce.amazonaws.com
      fips: true
      dualStack: true
    identity: {serviceAccountRef: {name: ecr-puller}}
  - name: stage
    ecr: {}
    identity: {secretRef: {name: keys}}
  - name: public
    ecrPublic: {roleARN: "arn:aws:iam::123456789012:role/pull", externalID: regcred, dualStack: true}
    identity: {serviceAccountRef: {name: ecr-puller}}
  - name: google
    artifactRegistry:
      hosts: [europe-west1-docker.pkg.dev]
      project: my-project
      repositories: [apps]
      workloadIdentityProvider: projects/123456789012/locations/global/workloadIdentityPools/my-pool/providers/my-cluster
      serviceAccount: pull@my-project.iam.gserviceaccount.com
      tokenLifetime: 1h30m
    identity: {serviceAccountRef: {name: google-puller}}
  - name: gke
    artifactRegistry:
      hosts: [gcr.io, eu.gcr.io]
      gkeCluster: projects/my-project/locations/europe-west1/clusters/my-cluster
    identity: {serviceAccountRef: {name: google-puller}}
  - name: azure
    acr:
      registry: myregistry.azurecr.io
      regions: [westeurope]
      tenantID: 72f988bf-86f1-41af-91ab-2d7cd011db47
      clientID: 6b7ad8a9-1a7e-4a2b-b3a4-2f8e3a4c9d10
    identity: {serviceAccountRef: {name: azure-puller}}
  - name: jfrog
    artifactory:
      url: https://acme.jfrog.io
      hosts: [acme.jfrog.io, acme-docker-local.jfrog.io]
      providerName: my-cluster
      identityMappingName: pull
      audience: jfrog
      projectKey: apps
    identity: {serviceAccountRef: {name: jfrog-puller}}
  - name: jfrog-admin
    artifactory: {url: "https://acme.example:8443", username: puller, scope: "applied-permissions/groups:readers", tokenLifetime: 6h}
    identity: {secretRef: {name: jfrog-admin}}
  - name: hub
    static: {host: docker.io}
    identity: {secretRef: {name: hub}}
    verify: {repository: library/nginx, host: docker.io}
    renewBeforePercentage: 50
    override: {secretRef: {name: break-glass}, until: "2026-12-01T18:00:00Z"}
  - name: others
    static: {hosts: [ghcr.io, "registry.example:5000"]}
    identity: {secretRef: {name: others}}
  - name: oracle
    plugin: {name: credential-provider-oke, image: fra.ocir.io/acme/app, hosts: [ams.ocir.io]}
    identity: {serviceAccountRef: {name: oracle-puller}}
  - name: azure-node
    acr:
      registry: myregistry.azurecr.io
      managedIdentity: /subscriptions/72f988bf-86f1-41af-91ab-2d7cd011db47/resourceGroups/my-group/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pull
      repositories: [team/app]
  - name: aks
    acr: {registry: myregistry.azurecr.io, identityBinding: true}
    identity: {serviceAccountRef: {name: azure-puller}}
  - name: fleet
    artifactRegistry:
      hosts: [docker.me-central2.rep.pkg.dev]
      fleetMembership: projects/my-project/locations/global/memberships/my-cluster
      readOnlyScope: true
    identity: {serviceAccountRef: {name: google-puller}}
  - name: jfrog-aws
    artifactory:
      url: https://acme.jfrog.io
      aws: {region: eu-west-1, roleARN: "arn:aws:iam::123456789012:role/pull", externalID: regcred}
      tokenLifetime: 3h
    identity: {serviceAccountRef: {name: jfrog-puller}}
  serviceAccounts: {names: [default]}
  secretName: registry-pull
  secretTemplate:
    labels: {cost: "1", example.com/team: a}
    annotations: {example.com/note: "Who asks: team A"}
  deletionPolicy: Retain
  suspend: false`

const commonStatus = `
observedGeneration: 1
conditions:
- {type: Ready, status: "True", reason: Current, message: Pods can pull., observedGeneration: 1, lastTransitionTime: "2026-01-02T03:04:05Z"}
- {type: Stalled, status: "True", reason: IdentityInvalid, message: Change it., observedGeneration: 1, lastTransitionTime: "2026-01-02T03:04:05Z"}
lastHandledRefreshAt: "2026-01-02T03:04:05Z"
registriesCurrent: 2/2
expiresAt: "2026-01-02T15:04:05Z"
refreshAt: "2026-01-02T09:04:05Z"
registries:
- name: prod
  hosts: [123456789012.dkr.ecr.eu-west-1.amazonaws.com]
  expiresAt: "2026-01-02T15:04:05Z"
  refreshAt: "2026-01-02T09:04:05Z"
  verified: "True"
  reason: AccessDenied
  message: Allow it.`

func (k kind) client(t *testing.T) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfig(cp.Config)
	if err != nil {
		t.Fatal(err)
	}
	resource := client.Resource(schema.GroupVersionResource{Group: "regcred.dev", Version: "v1alpha1", Resource: k.resource})
	if k.namespace == "" {
		return resource
	}
	return resource.Namespace(k.namespace)
}

// good is the kind's object under another name, so that the tests do not meet.
func (k kind) good(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{Object: parse(t, k.object).(map[string]any)}
	object.SetName(name)
	return object
}

// create stores the kind's good object until the test ends.
func (k kind) create(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	return k.store(t, k.good(t, name))
}

// store stores an object until the test ends.
func (k kind) store(t *testing.T, object *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	client, name := k.client(t), object.GetName()
	created, err := client.Create(t.Context(), object, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Delete(context.Background(), name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	return created
}

// parse reads YAML as the API server's clients do, with numbers that are integers as such.
func parse(t *testing.T, text string) any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return value
}
