package controllers

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// dockerConfig is the content of a kubernetes.io/dockerconfigjson Secret. auth alone is enough for the kubelet, the container
// runtimes, Flux and Kaniko, and halves the bytes.
type dockerConfig struct {
	Auths map[string]dockerAuth `json:"auths"`
}

type dockerAuth struct {
	Auth string `json:"auth"`
}

func authOf(t providers.Token) string {
	return base64.StdEncoding.EncodeToString([]byte(t.Username + ":" + t.Password.Reveal()))
}

func (r *TargetReconciler) observedSecret(ctx context.Context, from client.Reader, t Target) (*metav1.PartialObjectMetadata, error) {
	m := secretMetadata()
	if err := from.Get(ctx, t.secret(), m); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return m, nil
}

// ours says whether the Secret was made for this credential. The UID is not asked for: a credential restored from a backup finds
// its Secrets again.
func ours(key Key, secret metav1.Object) bool {
	owner := metav1.GetControllerOf(secret)
	return owner != nil && owner.Kind == key.Kind() && owner.Name == key.Name &&
		owner.APIVersion == v1alpha1.GroupVersion.String()
}

// trusted says whether the Secret's records and content are what we wrote.
func trusted(c *credential, o observed) bool {
	return o.secret != nil && ours(c.Key, o.secret) && intact(o.secret)
}

// conflict says why the observed Secret must not be touched.
func conflict(c *credential, o observed) *failure {
	if o.secret == nil || ours(c.Key, o.secret) {
		return nil
	}
	f := &failure{reason: v1alpha1.ReasonSecretConflict, retryAfter: retryAfter}
	owner := metav1.GetControllerOf(o.secret)
	switch {
	case owner != nil:
		f.message = fmt.Sprintf("Secret %s/%s belongs to %s %s: rename one of the two", o.secret.Namespace, o.secret.Name, owner.Kind, owner.Name)
	case o.secret.Annotations[v1alpha1.AnnotationAdopt] == "true":
		return nil
	default:
		f.message = fmt.Sprintf("Secret %s/%s exists and was not made by this credential: delete or rename it, or annotate it with %s=true to hand it over",
			o.secret.Namespace, o.secret.Name, v1alpha1.AnnotationAdopt)
	}
	return f
}

// refuseDuplicateHosts lets the first entry that claims a host have it.
func refuseDuplicateHosts(entries []*entry) {
	claimed := map[string]string{}
	for _, e := range entries {
		for _, host := range e.record.Hosts {
			other, taken := claimed[host]
			if !taken {
				claimed[host] = e.name
				continue
			}
			e.auth, e.fresh, e.known = "", false, false
			e.failure = &failure{reason: v1alpha1.ReasonDuplicateHost, terminal: true,
				message: fmt.Sprintf("entries %s and %s both claim the host %s: remove it from one of them", other, e.name, host)}
			break
		}
	}
}

// complete finds the bytes of the entries that need no new token, or cannot have one: in memory, or else in the Secret itself.
func (r *TargetReconciler) complete(ctx context.Context, c *credential, o observed, entries []*entry) error {
	var content *dockerConfig
	for _, e := range entries {
		if e.fresh || !e.known {
			continue
		}
		if e.req != nil && e.record.Source == e.req.Source() && e.record.Refresh == e.req.RefreshRequestedAt {
			if token, ok := r.Tokens.Held(*e.req); ok && !token.ExpiresAt.Before(e.record.ExpiresAt) {
				e.take(c, o.secret.Namespace, token)
				continue
			}
		}
		if content == nil {
			var err error
			if content, err = r.readBack(ctx, o.secret); err != nil {
				return err
			}
		}
		for _, host := range e.record.Hosts {
			e.auth = content.Auths[host].Auth
		}
	}
	return nil
}

// readBack reads the content of a Secret that is ours, provided that it is still the one that was observed.
func (r *TargetReconciler) readBack(ctx context.Context, secret *metav1.PartialObjectMetadata) (*dockerConfig, error) {
	live := &corev1.Secret{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(secret), live); err != nil {
		return nil, err
	}
	if live.UID != secret.UID || live.ResourceVersion != secret.ResourceVersion {
		return nil, apierrors.NewConflict(corev1.Resource("secrets"), secret.Name, errOutdated)
	}
	content := &dockerConfig{}
	if json.Unmarshal(live.Data[corev1.DockerConfigJsonKey], content) != nil {
		return nil, errUnreadable
	}
	return content, nil
}

var (
	errOutdated   = errors.New("the Secret has changed since it was observed")
	errUnreadable = errors.New("the Secret's content is not what was written")
)

// write writes the Secret once: in place if it exists, for the kubelet remembers pulls by the Secret's UID.
func (r *TargetReconciler) write(ctx context.Context, t Target, c *credential, o observed, why cause, entries []*entry) (*failure, error) {
	secret, err := compose(t, c, o.secret, entries)
	if err != nil {
		return nil, err
	}
	if size := len(secret.Data[corev1.DockerConfigJsonKey]); size > corev1.MaxSecretSize {
		return &failure{reason: v1alpha1.ReasonSecretRejected, terminal: true,
			message: fmt.Sprintf("the tokens take %d bytes, and a Secret holds %d: use fewer entries or accounts", size, corev1.MaxSecretSize)}, nil
	}
	if o.secret == nil {
		err = r.Client.Create(ctx, secret)
	} else {
		err = r.Client.Update(ctx, secret)
	}
	if err == nil && (why == causeEdited || why == causeAdopted) {
		err = r.claim(ctx, secret)
	}
	switch {
	case apierrors.IsNotFound(err): // deleted since it was observed
		return nil, apierrors.NewConflict(corev1.Resource("secrets"), t.Credential.Name, errOutdated)
	case isGone(err):
		return nil, err
	case apierrors.IsInvalid(err), apierrors.IsForbidden(err), apierrors.IsBadRequest(err):
		return rejected(t, err), nil
	case err != nil:
		return nil, err
	}
	r.written.expect(t, secret.ResourceVersion, r.Clock.Now())
	return nil, nil
}

// claim takes the data back from another manager who left it with the very bytes that we write: an update that changes nothing
// changes no owner either, and the Secret would look edited for ever.
func (r *TargetReconciler) claim(ctx context.Context, secret *corev1.Secret) error {
	if intact(&metav1.PartialObjectMetadata{ObjectMeta: secret.ObjectMeta}) {
		return nil
	}
	apply := applycorev1.Secret(secret.Name, secret.Namespace).WithResourceVersion(secret.ResourceVersion).
		WithUID(secret.UID).WithData(secret.Data)
	if err := r.Client.Apply(ctx, apply, client.ForceOwnership); err != nil {
		return err
	}
	secret.ResourceVersion = *apply.ResourceVersion
	return nil
}

func compose(t Target, c *credential, existing *metav1.PartialObjectMetadata, entries []*entry) (*corev1.Secret, error) {
	config := dockerConfig{Auths: map[string]dockerAuth{}}
	var records []record
	for _, e := range entries {
		if e.auth == "" {
			continue
		}
		records = append(records, e.record)
		for _, host := range e.record.Hosts {
			config.Auths[host] = dockerAuth{Auth: e.auth}
		}
	}
	content, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	annotation, err := json.Marshal(records)
	if err != nil {
		return nil, err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: t.Namespace, Name: t.Credential.Name},
		Type:       corev1.SecretTypeDockerConfigJson,
		Data:       map[string][]byte{corev1.DockerConfigJsonKey: content},
	}
	if existing != nil {
		secret.UID, secret.ResourceVersion = existing.UID, existing.ResourceVersion
		secret.Labels, secret.Annotations = maps.Clone(existing.Labels), maps.Clone(existing.Annotations)
		secret.Finalizers = existing.Finalizers
		secret.OwnerReferences = slices.DeleteFunc(slices.Clone(existing.OwnerReferences), func(o metav1.OwnerReference) bool {
			return o.Controller != nil && *o.Controller
		})
	}
	secret.OwnerReferences = append(secret.OwnerReferences, metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: c.Kind(), Name: c.Name, UID: c.object.GetUID(), Controller: new(true),
	})
	metav1.SetMetaDataLabel(&secret.ObjectMeta, v1alpha1.LabelSecret, v1alpha1.LabelSecretTarget)
	metav1.SetMetaDataAnnotation(&secret.ObjectMeta, annotationRegistries, string(annotation))
	delete(secret.Annotations, v1alpha1.AnnotationAdopt)
	return secret, nil
}

// rejected explains why the API server refuses the Secret.
func rejected(t Target, err error) *failure {
	f := &failure{reason: v1alpha1.ReasonSecretRejected, retryAfter: retryAfter,
		message: fmt.Sprintf("the API server refuses Secret %s: check the controller's RBAC rules, and the quotas and admission policies of the namespace", t.secret())}
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return f
	}
	for _, cause := range status.Status().Details.Causes {
		switch cause.Field {
		case "type":
			f.reason = v1alpha1.ReasonSecretConflict
			f.message = fmt.Sprintf("Secret %s is of another type than %s, which cannot be changed: delete or rename it", t.secret(), corev1.SecretTypeDockerConfigJson)
		case "data", "immutable":
			f.reason = v1alpha1.ReasonSecretConflict
			f.message = fmt.Sprintf("Secret %s is immutable: delete it, and it is written anew", t.secret())
		}
	}
	return f
}

// release unlinks the Secret and deletes it, in a namespace that holds the target no longer. The Secret of a credential that is gone
// is left to the garbage collector.
func (r *TargetReconciler) release(ctx context.Context, t Target, c *credential) error {
	if _, err := r.link(ctx, t.Credential, nil, t.Namespace); err != nil {
		return err
	}
	secret, err := r.observedSecret(ctx, r.Cache, t)
	if err != nil || secret == nil || c == nil || !metav1.IsControlledBy(secret, c.object) {
		return err
	}
	err = r.Client.Delete(ctx, secret, client.Preconditions{UID: &secret.UID, ResourceVersion: &secret.ResourceVersion})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// expectFor is how long the cache is trusted to show our own write; it bounds the harm of a watch that missed one.
const expectFor = 5 * time.Second

// expectations remembers our last write of each target until the cache shows it.
type expectations struct {
	mu    sync.Mutex
	until map[Target]expectation
}

type expectation struct {
	resourceVersion string
	until           time.Time
}

func (x *expectations) expect(t Target, resourceVersion string, now time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.until == nil {
		x.until = map[Target]expectation{}
	}
	x.until[t] = expectation{resourceVersion: resourceVersion, until: now.Add(expectFor)}
}

// ahead says whether our last write is newer than what the cache shows.
func (x *expectations) ahead(t Target, secret *metav1.PartialObjectMetadata, now time.Time) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	e, ok := x.until[t]
	if !ok {
		return false
	}
	if now.Before(e.until) {
		if secret == nil {
			return true
		}
		if order, err := resourceversion.CompareResourceVersion(secret.ResourceVersion, e.resourceVersion); err == nil && order < 0 {
			return true
		}
	}
	delete(x.until, t)
	return false
}

func (x *expectations) forget(t Target) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.until, t)
}

// spread maps a name to a point in [0, window), the same one every time.
func spread(name string, window time.Duration) time.Duration {
	if window <= 0 {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return time.Duration(h.Sum64() % uint64(window))
}
