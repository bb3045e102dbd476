package controllers

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// authsOf are the entries of a docker config for the hosts of a token.
func authsOf(t providers.Token) map[string]dockerAuth {
	auths := make(map[string]dockerAuth, 1)
	for _, l := range t.Logins {
		auth := dockerAuth{Auth: base64.StdEncoding.EncodeToString([]byte(l.Username + ":" + l.Password.Reveal()))}
		for _, host := range l.Hosts {
			auths[dockerKey(host)] = auth
		}
	}
	return auths
}

// dockerHub is the key of Docker Hub in a docker config; the kubelet and every other reader expect it in this form
// (kubernetes pkg/credentialprovider/keyring.go, docker/cli).
const dockerHub = "https://index.docker.io/v1/"

// dockerKey is the key of a registry host in a docker config.
func dockerKey(host string) string {
	switch host {
	case "docker.io", "index.docker.io", "registry-1.docker.io":
		return dockerHub
	default:
		return host
	}
}

// refuseDuplicateHosts lets the first entry that claims a host have it.
func refuseDuplicateHosts(entries []*entry) {
	claimed := map[string]string{}
	for _, e := range entries {
		for _, host := range e.record.Hosts {
			other, taken := claimed[dockerKey(host)]
			if !taken {
				claimed[dockerKey(host)] = e.name
				continue
			}
			if other == e.name {
				continue
			}
			e.auths, e.fresh, e.known = nil, false, false
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
		if e.req != nil && e.record.Source == e.req.Source() {
			if token, ok := r.Tokens.Held(*e.req); ok && !token.ExpiresAt.Before(e.record.ExpiresAt) {
				refresh := e.record.Refresh
				e.take(c, o.secret.Namespace, token)
				e.record.Refresh = refresh
				continue
			}
		}
		if content == nil {
			var err error
			if content, err = r.readBack(ctx, o.secret); err != nil {
				return err
			}
		}
		e.auths = make(map[string]dockerAuth, len(e.record.Hosts))
		for _, host := range e.record.Hosts {
			if auth, ok := content.Auths[dockerKey(host)]; ok {
				e.auths[dockerKey(host)] = auth
			}
		}
	}
	return nil
}

// readBack reads the content of a Secret that is ours. If it has changed since it was observed, what is read goes nowhere: the write is
// bound to the observed version.
func (r *TargetReconciler) readBack(ctx context.Context, secret *metav1.PartialObjectMetadata) (*dockerConfig, error) {
	live := &corev1.Secret{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(secret), live); err != nil {
		return nil, err
	}
	content := &dockerConfig{}
	if json.Unmarshal(live.Data[corev1.DockerConfigJsonKey], content) != nil {
		return nil, errUnreadable
	}
	return content, nil
}

var errUnreadable = errors.New("the Secret's content is not what was written")

func compose(t Target, c *credential, existing *metav1.PartialObjectMetadata, entries []*entry) (*corev1.Secret, error) {
	config := dockerConfig{Auths: map[string]dockerAuth{}}
	var records []record
	for _, e := range entries {
		if len(e.auths) == 0 {
			continue
		}
		records = append(records, e.record)
		maps.Copy(config.Auths, e.auths)
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
