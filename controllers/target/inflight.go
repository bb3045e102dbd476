package target

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/providers"
)

const (
	// bytesAtOnce is how much of the content of Secrets is read at the same time, and how much is written; bytesOfTenant is that of one
	// namespace: one Secret of the largest size, or many small ones.
	bytesAtOnce   = 8 * corev1.MaxSecretSize
	bytesOfTenant = corev1.MaxSecretSize
	// fewBytes are not counted: all workers together hold little of such Secrets, which are nearly all, even while webhooks hang.
	fewBytes = 64 << 10
)

// readWhole reads a Secret with its content, when there is room for one of the largest size. Unless it fails, release gives the room back.
func (r *Reconciler) readWhole(ctx context.Context, key client.ObjectKey) (secret *corev1.Secret, release func(), err error) {
	release, err = r.reads.Take(ctx, key.Namespace, corev1.MaxSecretSize)
	if err != nil {
		return nil, nil, err
	}
	secret = &corev1.Secret{}
	if err := r.Live.Get(ctx, key, secret); err != nil {
		release()
		return nil, nil, err
	}
	return secret, release, nil
}

// roomToWrite says whether what is to be written may be. Nobody waits for that here, as a webhook may hold what others write for long.
func (r *Reconciler) roomToWrite(t credential.Target, entries []*EntryState) (release func(), ok bool) {
	bytes := 0
	for _, e := range entries {
		for host, auth := range e.auths {
			bytes += len(host) + len(auth.Auth)
		}
	}
	if bytes <= fewBytes {
		return func() {}, true
	}
	return r.writes.Try(t.Namespace, int64(bytes))
}

// maxIdentity bounds what is read as an identity: keys, certificates and tokens take a few kilobytes. A docker config may fill a Secret.
const maxIdentity = 64 << 10

func largestIdentity(entry *v1alpha1.Registry) int {
	if entry.Static != nil {
		return corev1.MaxSecretSize
	}
	return maxIdentity
}

// fits says why a Secret is too large for an identity.
func fits(secret *corev1.Secret, most int) error {
	size := 0
	for key, value := range secret.Data {
		size += len(key) + len(value)
	}
	if size > most {
		return providers.Errorf(v1alpha1.ReasonIdentityInvalid, "Secret %s has %d bytes of data, and an identity has %d at most: leave in it what the entry needs",
			client.ObjectKeyFromObject(secret), size, most)
	}
	return nil
}
