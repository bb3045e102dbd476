package target

import (
	"context"
	"hash/maphash"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
)

// seal is what a target's Secret was when we wrote it, or saw it first: whoever writes under the name of our field manager leaves no other
// trace than a later version.
type seal struct {
	version uint64
	// content stands for what was written; 0 if the Secret was only seen.
	content uint64
	// broken is whether this version was found to be somebody else's work.
	broken bool
}

// seals are those of the targets that are served. Targets are keyed by a hash: the names of ten thousand would take the most memory here.
type seals struct {
	seed  maphash.Seed
	bound int

	mu  sync.Mutex
	all map[uint64]seal
}

func newSeals(bound int) *seals {
	return &seals{seed: maphash.MakeSeed(), bound: bound, all: map[uint64]seal{}}
}

func (s *seals) get(t credential.Target) (seal, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.all[maphash.Comparable(s.seed, t)]
	return found, ok
}

// put remembers a seal. When there is no room, any other goes: that Secret is then trusted as it is seen next.
func (s *seals) put(t credential.Target, made seal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= s.bound {
		for key := range s.all {
			delete(s.all, key)
			break
		}
	}
	s.all[maphash.Comparable(s.seed, t)] = made
}

func (s *seals) delete(t credential.Target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, maphash.Comparable(s.seed, t))
}

// of is the seal of a Secret as it is.
func (s *seals) of(secret *corev1.Secret) seal {
	var h maphash.Hash
	h.SetSeed(s.seed)
	_, _ = h.Write(secret.Data[corev1.DockerConfigJsonKey]) // which never fails
	_ = h.WriteByte(0)
	_, _ = h.WriteString(secret.Annotations[pullsecret.AnnotationRegistries])
	return seal{version: versionOf(secret), content: h.Sum64()}
}

// broken says whether what is sealed is not what the Secret holds. Of what was only seen, nothing is known but that its content must fit its
// records.
func (s *seals) broken(sealed seal, secret *corev1.Secret, contents pullsecret.Contents) bool {
	if sealed.content != 0 {
		return s.of(secret).content != sealed.content
	}
	content, err := pullsecret.Content(secret)
	return err != nil || !content.Fits(contents.Records)
}

// versionOf is the resource version of an object; 0 if it is none that can be compared.
func versionOf(o client.Object) uint64 {
	version, err := strconv.ParseUint(o.GetResourceVersion(), 10, 64)
	if err != nil {
		return 0
	}
	return version
}

// compare finds out whether a Secret that looks as we wrote it is so, at the cost of one read for each change that we did not make. Such
// reads have a budget, as repairs do: again is when the next may be made.
func (r *Reconciler) compare(ctx context.Context, t credential.Target, o observed) (found observed, again time.Duration, err error) {
	if o.Records == nil {
		return o, 0, nil
	}
	sealed, known := r.seals.get(t)
	switch version := versionOf(o.secret); {
	case !known: // after a restart, which reads nothing
		r.seals.put(t, seal{version: version})
		return o, 0, nil
	case version == sealed.version && sealed.broken:
		return o.asForged(), 0, nil
	case version <= sealed.version:
		return o, 0, nil
	}
	if wait, _ := r.compared.Truce(t); wait > 0 {
		return o, wait, nil
	}
	r.compared.Repaired(t, "")
	live, release, err := r.whole(ctx, t.Secret())
	if err != nil {
		return o, 0, err
	}
	defer release()
	if live.UID != o.secret.UID {
		return o, 0, apierrors.NewConflict(corev1.Resource("secrets"), t.Name, errChanged)
	}
	if r.seals.broken(sealed, live, o.Contents) {
		sealed.version, sealed.broken = versionOf(live), true
		r.seals.put(t, sealed)
		return o.asForged(), 0, nil
	}
	r.seals.put(t, r.seals.of(live))
	return o, 0, nil
}
