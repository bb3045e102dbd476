package target

import (
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/internal/expiring"
)

// seal is what a target's Secret was when we wrote it, or saw it first: whoever writes under the name of our field manager leaves no other
// trace than a later version.
type seal struct {
	version uint64
	// record stands for what the Secret said of itself, and data for that and for its data; 0 if that was not seen.
	record, data uint64
	// owner stands for what the credential wanted of the Secret then; 0 if that is not known.
	owner uint64
	// broken is whether this version was found to be somebody else's work.
	broken bool
	// gone is whether that Secret was deleted: another in its place is not ours before it is known to be the same.
	gone bool
	// tenant stands for whose credential it is; 0 for the cluster's.
	tenant uint32
}

// seals are kept for each target that is served. A hash is the key: the names of ten thousand would take the most memory here.
type seals struct {
	seed maphash.Seed

	mu  sync.Mutex
	all *expiring.Kept[uint64, uint32, seal]
}

func newSeals(bound, share int) *seals {
	return &seals{seed: maphash.MakeSeed(), all: expiring.NewKept(bound, share, func(_ uint64, of seal) uint32 { return of.tenant })}
}

func (s *seals) get(t credential.Target) (seal, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Get(maphash.Comparable(s.seed, t))
}

// put remembers a seal. When there is no room, another goes: that Secret is then trusted as it is seen next.
func (s *seals) put(t credential.Target, made seal) {
	made.tenant = 0
	if tenant := t.Credential.Namespace; tenant != "" {
		made.tenant = max(1, uint32(maphash.String(s.seed, tenant)))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.Put(maphash.Comparable(s.seed, t), made)
}

// deleted notes that the sealed Secret is no more.
func (s *seals) deleted(t credential.Target) {
	key := maphash.Comparable(s.seed, t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if sealed, known := s.all.Get(key); known {
		sealed.version, sealed.broken, sealed.gone = 0, false, true
		s.all.Put(key, sealed)
	}
}

func (s *seals) delete(t credential.Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.Delete(maphash.Comparable(s.seed, t))
}

// seen is the seal of a Secret whose data was not read.
func (s *seals) seen(secret client.Object) seal {
	var h maphash.Hash
	h.SetSeed(s.seed)
	_, _ = h.WriteString(secret.GetAnnotations()[pullsecret.AnnotationRegistries]) // which never fails
	return seal{version: versionOf(secret), record: h.Sum64()}
}

// of is the seal of a Secret as it is.
func (s *seals) of(secret *corev1.Secret) seal {
	made := s.seen(secret)
	made.data = maphash.Comparable(s.seed, [2]uint64{made.record, maphash.Bytes(s.seed, secret.Data[corev1.DockerConfigJsonKey])})
	return made
}

// wishOf stands for what a credential wants of its Secret besides tokens.
func (s *seals) wishOf(o pullsecret.Owner) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	maphash.WriteComparable(&h, o.Retain)
	for _, wanted := range []map[string]string{o.Template.Labels, o.Template.Annotations} {
		if len(wanted) > 0 { // as hardly ever
			for _, key := range slices.Sorted(maps.Keys(wanted)) {
				maphash.WriteComparable(&h, [2]string{key, wanted[key]})
			}
		}
		_ = h.WriteByte(0) // which never fails
	}
	return h.Sum64()
}

// replaced says whether another record stands in the place of the sealed one, or a Secret in the place of one that was only seen: nobody has
// to look at its data.
func (s *seals) replaced(sealed seal, secret client.Object) bool {
	return sealed.gone && sealed.data == 0 || s.seen(secret).record != sealed.record
}

// broken says whether what is sealed is not what the Secret holds. Of what was only seen, nothing is known but that its content must fit its
// records.
func (s *seals) broken(sealed seal, secret *corev1.Secret, saved pullsecret.Saved) bool {
	if s.replaced(sealed, secret) {
		return true
	}
	if sealed.data != 0 {
		return s.of(secret).data != sealed.data
	}
	config, err := pullsecret.ParseConfig(secret)
	return err != nil || !config.Fits(saved.Records)
}

// versionOf is the resource version of an object; 0 if it is none that can be compared.
func versionOf(o client.Object) uint64 {
	version, err := strconv.ParseUint(o.GetResourceVersion(), 10, 64)
	if err != nil {
		return 0
	}
	return version
}

// compare finds out whether a Secret that looks as we wrote it is so. Another record is not ours; for its data it costs one read for each
// change that we did not make. Such reads have a budget, as repairs do: again is when the next may be made.
func (r *Reconciler) compare(ctx context.Context, t credential.Target, o observed) (found observed, again time.Duration, err error) {
	sealed, known := r.seals.get(t)
	if o.Records == nil {
		if known && !sealed.gone && o.secret != nil && pullsecret.OwnedAs(o.owner, o.secret) && versionOf(o.secret) > sealed.version {
			return o.asForged(), 0, nil // somebody has taken our records away, or made them unreadable
		}
		return o, 0, nil
	}
	o.sameOwner = known && sealed.owner == r.seals.wishOf(o.owner)
	switch version := versionOf(o.secret); {
	case !known: // after a restart, which reads nothing
		made := r.seals.seen(o.secret)
		if pullsecret.OwnedAs(o.owner, o.secret) && o.followsTemplate() {
			made.owner = r.seals.wishOf(o.owner)
		}
		r.seals.put(t, made)
		return o, 0, nil
	case version == sealed.version && sealed.broken:
		return o.asForged(), 0, nil
	case version <= sealed.version:
		return o, 0, nil
	case r.seals.replaced(sealed, o.secret):
		r.seals.put(t, sealed.brokenBy(o.secret))
		return o.asForged(), 0, nil
	}
	if wait, _ := r.comparisons.Wait(t); wait > 0 {
		return o, wait, nil
	}
	r.comparisons.Spend(t, "")
	live, release, err := r.readWhole(ctx, t.Secret())
	if err != nil {
		return o, 0, err
	}
	defer release()
	if live.UID != o.secret.UID {
		return o, 0, apierrors.NewConflict(corev1.Resource("secrets"), t.Name, errChanged)
	}
	if r.seals.broken(sealed, live, o.Saved) {
		r.seals.put(t, sealed.brokenBy(live))
		return o.asForged(), 0, nil
	}
	made := r.seals.of(live)
	made.owner = sealed.owner
	r.seals.put(t, made)
	return o, 0, nil
}

// brokenBy is the seal that this version has broken.
func (s seal) brokenBy(secret client.Object) seal {
	s.version, s.broken = versionOf(secret), true
	return s
}

// uncompared is the failure of a target whose Secret somebody else changes more often than it is looked at: until then nothing is said of what
// it holds.
func uncompared(t credential.Target, o observed, wait time.Duration) *credential.Failure {
	return &credential.Failure{Reason: v1alpha1.ReasonContended, RetryAfter: wait, Message: fmt.Sprintf(
		"Secret %s is changed by %s again and again, and what it holds is looked at ever more rarely: stop that, or create the credential anew with another secretName",
		t.Secret(), rivalOf(o))}
}
