package target

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
)

// complete finds the bytes of the entries that need no new token, or cannot have one: in memory, or else in the Secret itself.
func (r *Reconciler) complete(ctx context.Context, t credential.Target, o observed, entries []*EntryState) error {
	var content *pullsecret.Config
	for _, e := range entries {
		if e.Fresh || !e.Known {
			continue
		}
		if e.req != nil && e.Record.Source == e.req.Source() {
			if token, ok := r.Tokens.InMemory(*e.req); ok && !token.IssuedAt.Before(e.Record.IssuedAt) {
				refresh := e.Record.RefreshStamp
				e.take(token, r.authsOf(token))
				e.Record.RefreshStamp = refresh
				continue
			}
		}
		if content == nil {
			var err error
			if content, err = r.readBack(ctx, t, o); err != nil {
				return err
			}
		}
		e.auths, e.readBack = content.Of(e.Record.Hosts), true
	}
	return nil
}

// readBack reads the content of a Secret that is ours, as it was observed. What somebody else has written under our name, and is yet to be
// compared, goes nowhere.
func (r *Reconciler) readBack(ctx context.Context, t credential.Target, o observed) (*pullsecret.Config, error) {
	live, release, err := r.readWhole(ctx, t.Secret())
	if err != nil {
		return nil, err
	}
	defer release()
	if live.ResourceVersion != o.secret.ResourceVersion {
		return nil, apierrors.NewConflict(corev1.Resource("secrets"), t.Name, errChanged)
	}
	if sealed, known := r.seals.get(t); known && r.seals.broken(sealed, live, o.Saved) {
		sealed.version, sealed.broken = versionOf(live), true
		r.seals.put(t, sealed)
		return nil, errChanged // it is repaired when the queue comes back to it
	}
	return pullsecret.ParseConfig(live)
}

func ownerOf(c *credential.Credential) pullsecret.Owner {
	owner := pullsecret.Owner{Kind: c.Kind(), Name: c.Name, UID: c.Object.GetUID(), Retain: c.Spec.DeletionPolicy == v1alpha1.DeletionPolicyRetain}
	if t := c.Spec.SecretTemplate; t != nil {
		owner.Template = pullsecret.Template{Labels: texts(t.Labels), Annotations: texts(t.Annotations)}
	}
	return owner
}

func texts[V ~string](m map[string]V) map[string]string {
	plain := make(map[string]string, len(m))
	for key, value := range m {
		plain[key] = string(value)
	}
	return plain
}

func compose(t credential.Target, owner pullsecret.Owner, existing *metav1.PartialObjectMetadata, entries []*EntryState) (*corev1.Secret, error) {
	var parts []pullsecret.Part
	for _, e := range entries {
		if len(e.auths) > 0 {
			parts = append(parts, pullsecret.Part{Record: e.Record, Auths: e.auths})
		}
	}
	return pullsecret.Compose(t.Secret(), owner, existing, parts)
}
