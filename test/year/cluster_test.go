package year

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
)

// cluster is an API server in memory, as far as Secrets need it. Reads are of what the caches would hold, and writes fail now and then.
type cluster struct {
	client.Client // of which nothing else is used

	credentials map[credential.Key]client.Object
	namespaces  map[string]*metav1.PartialObjectMetadata
	secrets     map[client.ObjectKey]*corev1.Secret
	cached      map[client.ObjectKey]*metav1.PartialObjectMetadata
	chance      *rand.Rand
	version     int
	// wrote is told of every write, before is nil at the first.
	wrote func(before, after *corev1.Secret)
}

func newCluster(seed uint64, wrote func(before, after *corev1.Secret)) *cluster {
	return &cluster{
		credentials: map[credential.Key]client.Object{}, namespaces: map[string]*metav1.PartialObjectMetadata{},
		secrets: map[client.ObjectKey]*corev1.Secret{}, cached: map[client.ObjectKey]*metav1.PartialObjectMetadata{},
		chance: rand.New(rand.NewPCG(seed, 1<<32)), wrote: wrote,
	}
}

// add puts a credential there, with the namespaces that it is for.
func (c *cluster) add(o client.Object, namespaces ...string) (targets []credential.Target) {
	key := credential.KeyOf(o)
	o.SetUID(types.UID(key.String()))
	c.credentials[key] = o
	for _, name := range namespaces {
		if c.namespaces[name] == nil {
			c.namespaces[name] = &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"of": o.GetName()}}}
		}
		targets = append(targets, credential.Target{Credential: key, Namespace: name, Name: o.GetName()})
	}
	return targets
}

func missing(resource, name string) error {
	return apierrors.NewNotFound(corev1.Resource(resource), name)
}

// Get implements client.Reader. What it returns is shared and read-only.
func (c *cluster) Get(_ context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	switch o := o.(type) {
	case *v1alpha1.RegistryCredential:
		if found, ok := c.credentials[credential.Key(key)].(*v1alpha1.RegistryCredential); ok {
			*o = *found
			return nil
		}
	case *v1alpha1.ClusterRegistryCredential:
		if found, ok := c.credentials[credential.Key(key)].(*v1alpha1.ClusterRegistryCredential); ok {
			*o = *found
			return nil
		}
	case *corev1.Secret:
		if found, ok := c.secrets[key]; ok {
			found.DeepCopyInto(o)
			return nil
		}
	case *metav1.PartialObjectMetadata:
		from := c.cached[key]
		if o.Kind == "Namespace" {
			from = c.namespaces[key.Name]
		}
		if from != nil {
			kind := o.TypeMeta
			*o = *from
			o.TypeMeta = kind
			return nil
		}
	default:
		return fmt.Errorf("nobody should ask for a %T", o)
	}
	return missing("objects", key.Name)
}

// List implements client.Reader. No ServiceAccount is to be linked, and nobody else wants a Secret.
func (c *cluster) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	switch list.(type) {
	case *corev1.ServiceAccountList, *v1alpha1.RegistryCredentialList, *v1alpha1.ClusterRegistryCredentialList:
		return nil
	default:
		return fmt.Errorf("nobody should list a %T", list)
	}
}

// Create implements client.Writer.
func (c *cluster) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	secret, ok := o.(*corev1.Secret)
	if !ok {
		return fmt.Errorf("nobody should create a %T", o)
	}
	if c.secrets[client.ObjectKeyFromObject(o)] != nil {
		return apierrors.NewAlreadyExists(corev1.Resource("secrets"), o.GetName())
	}
	secret.UID = types.UID(strconv.Itoa(c.version))
	return c.put(nil, secret)
}

// Update implements client.Writer.
func (c *cluster) Update(_ context.Context, o client.Object, _ ...client.UpdateOption) error {
	secret, ok := o.(*corev1.Secret)
	if !ok {
		return fmt.Errorf("nobody should update a %T", o)
	}
	before := c.secrets[client.ObjectKeyFromObject(o)]
	switch {
	case before == nil:
		return missing("secrets", o.GetName())
	case before.UID != secret.UID || before.ResourceVersion != secret.ResourceVersion:
		return apierrors.NewConflict(corev1.Resource("secrets"), o.GetName(), errChanged)
	}
	return c.put(before, secret)
}

var (
	errChanged = fmt.Errorf("it has changed")
	ours       = []metav1.ManagedFieldsEntry{{Manager: v1alpha1.FieldManager, Operation: metav1.ManagedFieldsOperationUpdate,
		FieldsV1: metav1.NewFieldsV1(`{"f:data":{".":{},"f:.dockerconfigjson":{}},"f:metadata":{"f:annotations":{".":{},"f:regcred.dev/registries":{}}}}`)}}
)

// put stores a version, unless the server fails before it does. Now and then it fails after it has.
func (c *cluster) put(before, secret *corev1.Secret) error {
	luck := c.chance.IntN(200)
	if luck == 0 {
		return apierrors.NewInternalError(errChanged)
	}
	c.version++
	secret.ResourceVersion, secret.ManagedFields = strconv.Itoa(c.version), ours
	key, stored := client.ObjectKeyFromObject(secret), secret.DeepCopy()
	m := &metav1.PartialObjectMetadata{ObjectMeta: *stored.ObjectMeta.DeepCopy()}
	pullsecret.Trim(m)
	c.secrets[key], c.cached[key] = stored, m
	c.wrote(before, stored)
	if luck == 1 {
		return apierrors.NewTimeoutError("the answer is lost", 1)
	}
	return nil
}

// passwords are those in a Secret, by host.
func passwords(secret *corev1.Secret) map[string]string {
	if secret == nil {
		return nil
	}
	content, err := pullsecret.ParseConfig(secret)
	if err != nil {
		return nil
	}
	all := map[string]string{}
	for host := range content.Auths {
		if login, err := content.Login(host); err == nil {
			all[host] = login.Password.Reveal()
		}
	}
	return all
}
