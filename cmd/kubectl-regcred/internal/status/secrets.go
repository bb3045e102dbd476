package status

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
)

// targets are the Secrets of credentials: what they record, without a byte of what they hold.
type targets map[types.NamespacedName]target

type target struct {
	keeper  credential.Key
	records map[string]pullsecret.Record
}

// readTargets lists the Secrets that credentials keep, as metadata.
func readTargets(ctx context.Context, k *cluster.Cluster, namespace string, now time.Time) (all targets, read bool, err error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	all = targets{}
	read, err = cluster.Each(ctx, k, list, namespace, func(o *metav1.PartialObjectMetadata) error {
		of, kept := credential.TargetOf(o)
		if kept && pullsecret.Trusted(pullsecret.Owner{Kind: of.Credential.Kind(), Name: of.Credential.Name}, o) {
			all[client.ObjectKeyFromObject(o)] = target{of.Credential, pullsecret.Read(o, now).Records}
		}
		return nil
	}, client.MatchingLabels{v1alpha1.LabelSecret: v1alpha1.LabelSecretTarget})
	return all, read, err
}

// expired are the hosts that a target has no live token for.
func (t target) expired(now time.Time) []string {
	var hosts []string
	for _, r := range t.records {
		if !r.ExpiresAt.After(now) {
			hosts = append(hosts, r.Hosts...)
		}
	}
	return hosts
}

// firstExpiry is when the first of the tokens expires.
func (t target) firstExpiry() time.Time {
	var first time.Time
	for _, r := range t.records {
		if first.IsZero() || r.ExpiresAt.Before(first) {
			first = r.ExpiresAt
		}
	}
	return first
}

// note adds to each credential what its Secrets record: when the tokens were minted, and the namespaces that hold an expired one, whatever the
// controller reports.
func (t targets) note(r *Report, now time.Time) {
	at, since := map[credential.Key]*Credential{}, map[*Credential]time.Time{}
	for i := range r.Credentials {
		c := &r.Credentials[i]
		at[credential.Key{Namespace: c.Namespace, Name: c.Name}] = c
	}
	for key, target := range t {
		c := at[target.keeper]
		if c == nil {
			continue
		}
		c.minted(target.records)
		if len(target.expired(now)) > 0 {
			c.Expired = append(c.Expired, key.Namespace)
			if first := target.firstExpiry(); since[c].IsZero() || first.Before(since[c]) {
				since[c] = first
			}
		}
	}
	for i := range r.Credentials {
		c := &r.Credentials[i]
		slices.Sort(c.Expired)
		if len(c.Expired) > 0 && c.State == Fine {
			c.Ready, c.Reason, c.State = metav1.ConditionFalse, ReasonNotReported, Failing
			c.Since = &metav1.Time{Time: since[c]}
			c.FailingSince = c.Since
			c.Message = "a Secret holds an expired token, and the controller has said nothing of it"
			c.Cure = fill(cures[ReasonNotReported], c)
		}
	}
}

// minted notes when the oldest token of each entry was minted.
func (c *Credential) minted(records map[string]pullsecret.Record) {
	for i := range c.Entries {
		e := &c.Entries[i]
		r, known := records[e.Name]
		if known && !r.Earlier() && (e.IssuedAt == nil || r.IssuedAt.Before(e.IssuedAt.Time)) {
			e.IssuedAt = &metav1.Time{Time: r.IssuedAt}
		}
	}
}
