package faults

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// editors edit one ServiceAccount, each so often, while our link goes and comes so often at least.
const editors, toggles = 50, 4

func edits() int {
	if *nightly {
		return 1000
	}
	return 20
}

// Many have links of their own in one ServiceAccount, and put them in and take them off while ours comes and goes. Whatever the controller
// writes, the links of the others stay what they were, where they were.
func TestForeignLinksStayWhatTheyAre(t *testing.T) {
	s := newScene(t)
	defer s.end()
	between.arm(trap{})
	w, err := world.Client.Watch(t.Context(), &corev1.ServiceAccountList{}, client.InNamespace("one"), client.MatchingFields{metav1.ObjectNameField: s.name})
	s.must(err)
	defer w.Stop()
	s.must(world.Client.Create(t.Context(), s.credential()))
	s.await("a link", func() bool { return s.linked("one") })

	seen := collect(w)
	theirs := s.edit(t.Context(), s.toggle)
	s.selected("one", true)
	s.await("our link", func() bool { return s.linked("one") })
	last := s.account("one")
	s.must(world.Client.Get(t.Context(), client.ObjectKeyFromObject(last), last))
	s.unmoved(seen, theirs, last.ResourceVersion)
	if n := len(last.ImagePullSecrets); n != editors+1 {
		t.Errorf("%d links are left, want one of each of %d editors, and ours: %v", n, editors, last.ImagePullSecrets)
	}
}

// edit lets all editors work at once, and returns the versions that they made.
func (s *scene) edit(ctx context.Context, meanwhile func()) (theirs map[string]bool) {
	theirs = map[string]bool{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range editors {
		all.Go(func() {
			for n := range edits() {
				version, err := s.change(ctx, fmt.Sprintf("editor-%d-%d", i, n-1), fmt.Sprintf("editor-%d-%d", i, n))
				if err != nil {
					s.Error(err)
					return
				}
				mu.Lock()
				theirs[version] = true
				mu.Unlock()
			}
		})
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		all.Wait()
	}()
	for n := 0; ; n++ {
		select {
		case <-over:
			if n >= toggles {
				return theirs
			}
		default:
		}
		meanwhile()
	}
}

// change takes one link of an editor off and puts another in, as kubectl edit does: under the version that was read.
func (s *scene) change(ctx context.Context, from, to string) (version string, err error) {
	sa := s.account("one")
	patient := retry.DefaultRetry
	patient.Steps, patient.Jitter = 1000, 1
	err = retry.RetryOnConflict(patient, func() error {
		if err := world.Client.Get(ctx, client.ObjectKeyFromObject(sa), sa); err != nil {
			return err
		}
		sa.ImagePullSecrets = slices.DeleteFunc(sa.ImagePullSecrets, func(r corev1.LocalObjectReference) bool { return r.Name == from })
		sa.ImagePullSecrets = append(sa.ImagePullSecrets, corev1.LocalObjectReference{Name: to})
		return world.Client.Update(ctx, sa)
	})
	return sa.ResourceVersion, err
}

// toggle makes the controller take our link off and put it in again.
func (s *scene) toggle() {
	s.selected("one", false)
	s.await("our link to go", func() bool { return !s.linked("one") })
	s.selected("one", true)
	s.await("our link to come", func() bool { return s.linked("one") })
}

// collect takes what a watch sees as it comes: the API server waits for no one.
func collect(w watch.Interface) <-chan watch.Event {
	seen := make(chan watch.Event, 2*editors*edits())
	go func() {
		defer close(seen)
		for e := range w.ResultChan() {
			seen <- e
		}
	}()
	return seen
}

// unmoved goes through all versions up to the last: those that no editor has made leave the editors' links alone.
func (s *scene) unmoved(seen <-chan watch.Event, theirs map[string]bool, last string) {
	s.Helper()
	var before []string
	ours := 0
	for e := range seen {
		sa, ok := e.Object.(*corev1.ServiceAccount)
		if !ok {
			s.Fatalf("the watch ends with %v", e.Object)
		}
		var foreign []string
		for _, r := range sa.ImagePullSecrets {
			if r.Name != s.name {
				foreign = append(foreign, r.Name)
			}
		}
		if len(sa.ImagePullSecrets) > len(foreign)+1 {
			s.Errorf("our link is there twice: %v", sa.ImagePullSecrets)
		}
		if !theirs[sa.ResourceVersion] {
			ours++
			if !slices.Equal(before, foreign) {
				s.Errorf("the links of others were %v and are %v", before, foreign)
			}
		}
		before = foreign
		if sa.ResourceVersion == last {
			break
		}
	}
	if ours < 2*toggles || len(theirs) != editors*edits() {
		s.Errorf("%d versions of ours among %d of theirs prove nothing", ours, len(theirs))
	}
}
