package faults

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// still is how long no event must come for all to have come.
	still = 100 * time.Millisecond
	// orders is how many orders of more than five events are tried.
	orders = 24
	// enough is how many effects may come of what is done in one step.
	enough = 20
)

var nightly = flag.Bool("nightly", false, "try what takes too long for every change, too")

var seed = flag.Uint64("seed", 1, "chooses among the orders of many events")

// step is something that happens all at once, in several objects.
type step struct {
	name string
	// before is what there is already.
	before func(*scene)
	do     func(*scene)
	// events is how many come of it before the controller knows.
	events int
	done   func(*scene) bool
}

var steps = []step{
	{
		name: "a credential, and the namespaces it selects",
		do: func(s *scene) {
			for _, ns := range namespaces {
				s.selected(ns, false)
			}
			s.must(world.Client.Create(s.Context(), s.credential()))
			for _, ns := range namespaces {
				s.selected(ns, true)
			}
		},
		events: 5,
		done:   func(s *scene) bool { return s.served("one", true) && s.served("two", true) && s.reported(2) },
	},
	{
		name:   "a Secret that is deleted, a link that is taken off, and a namespace that is left",
		before: existing,
		do: func(s *scene) {
			s.must(world.Client.Delete(s.Context(), s.secret("one")))
			s.must(world.Client.Patch(s.Context(), s.account("one"), client.RawPatch("application/merge-patch+json", []byte(`{"imagePullSecrets":null}`))))
			s.selected("two", false)
		},
		events: 3,
		done:   func(s *scene) bool { return s.served("one", true) && s.served("two", false) && s.reported(1) },
	},
	{
		name: "a refresh request, and a namespace that comes back",
		before: func(s *scene) {
			existing(s)
			s.selected("two", false)
			s.await("a namespace to be left", func() bool { return s.served("two", false) && s.reported(1) })
		},
		do: func(s *scene) {
			s.later(2 * time.Minute)
			s.refresh("now")
			s.selected("two", true)
		},
		events: 2,
		done: func(s *scene) bool {
			return s.mints() == 2 && s.served("one", true) && s.served("two", true) && s.password("one") == s.password("two") && s.reported(2)
		},
	},
	{
		name:   "a credential that goes while its Secret is edited",
		before: existing,
		do: func(s *scene) {
			s.must(world.Client.Patch(s.Context(), s.secret("one"),
				client.RawPatch("application/merge-patch+json", []byte(`{"stringData":{".dockerconfigjson":"{}"}}`))))
			s.must(world.Client.Delete(s.Context(), s.credential()))
		},
		events: 4,
		done:   func(s *scene) bool { return s.served("one", false) && s.served("two", false) },
	},
}

func existing(s *scene) {
	s.must(world.Client.Create(s.Context(), s.credential()))
	s.await("tokens and links", func() bool { return s.served("one", true) && s.served("two", true) && s.reported(2) })
}

// The API server says what has happened to one kind of object in order. What has happened to two kinds may come in any order, late, or
// twice, and after a list instead of one by one.
func TestEventsInAnyOrderEndInTheSameWay(t *testing.T) {
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			first := step.usual(t)
			all := ordersOf(first)
			t.Logf("%d events, %d orders: %q", len(first), len(all), first)
			for i, order := range all {
				t.Run(fmt.Sprintf("order %d", i+1), func(t *testing.T) {
					step.tick(t, order, func(waiting []*watched) { inOrder(pick(waiting, order)) })
				})
			}
			for i, path := range slices.Compact(slices.Clone(first)) {
				t.Run(fmt.Sprintf("%d doubled", i+1), func(t *testing.T) {
					step.tick(t, []string{path}, func(waiting []*watched) {
						for _, w := range waiting {
							between.release(w, w.path == path)
						}
					})
				})
				t.Run(fmt.Sprintf("%d lost and listed again", i+1), func(t *testing.T) {
					step.tick(t, []string{path}, func(waiting []*watched) {
						for _, w := range slices.Compact(waiting) {
							if w.path == path {
								between.lose(w)
							}
						}
					})
				})
				t.Run(fmt.Sprintf("%d late", i+1), func(t *testing.T) {
					step.tick(t, []string{path}, func(waiting []*watched) {
						for _, w := range waiting {
							if w.path != path {
								between.release(w, false)
							}
						}
						between.held(still) // what the controller does with the others
					})
				})
			}
		})
	}
}

// usual are the watches that have events of the step, by their path.
func (s step) usual(t *testing.T) []string {
	t.Helper()
	for range tries {
		if paths := s.tick(t, nil, inOrder); len(paths) == s.events {
			return paths
		}
	}
	t.Fatalf("what is done was never what has %d events", s.events)
	return nil
}

// tick does the step while events are held back, lets them go if those are among them that are wanted, and otherwise plays it again. It
// returns the watches that had events, by their path.
func (s step) tick(t *testing.T, wanted []string, let func(waiting []*watched)) []string {
	t.Helper()
	for range tries {
		if paths, tried := s.once(t, wanted, let); tried {
			return paths
		}
	}
	t.Fatalf("events of %q were never held back together", wanted)
	return nil
}

func (s step) once(t *testing.T, wanted []string, let func(waiting []*watched)) (paths []string, tried bool) {
	t.Helper()
	scene := newScene(t)
	defer scene.end()
	if s.before != nil {
		s.before(scene)
	}
	between.held(still)
	between.arm(trap{})
	between.hold()
	s.do(scene)
	waiting := between.atLeast(s.events, still)
	for _, w := range waiting {
		paths = append(paths, w.path)
	}
	if tried = len(paths) >= s.events && len(pick(waiting, wanted)) == len(wanted); tried {
		let(waiting)
	}
	between.flow()
	scene.await("the end of the step", func() bool { return s.done(scene) })
	between.held(2 * still)
	if done := between.counted(); len(done) > enough {
		t.Errorf("the controller does not come to rest: %q", done)
	}
	slices.Sort(paths)
	return paths, tried
}

// inOrder releases one event after the other, and gives the controller a moment after each.
func inOrder(order []*watched) {
	for _, w := range order {
		between.release(w, false)
		between.held(still / 5)
	}
}

// pick turns paths into watches of this run, as far as they have as many events.
func pick(waiting []*watched, order []string) (picked []*watched) {
	left := slices.Clone(waiting)
	for _, path := range order {
		if i := slices.IndexFunc(left, func(w *watched) bool { return w.path == path }); i >= 0 {
			picked = append(picked, left[i])
			left = slices.Delete(left, i, i+1)
		}
	}
	return picked
}

// ordersOf are all orders of up to five events, and some of more.
func ordersOf(paths []string) (all [][]string) {
	if len(paths) <= 5 {
		return permutations(paths)
	}
	random := rand.New(rand.NewPCG(*seed, 0))
	for range orders {
		order := slices.Clone(paths)
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		all = append(all, order)
	}
	return all
}

// permutations are the orders of watches that differ; within a watch events keep theirs.
func permutations(paths []string) (all [][]string) {
	if len(paths) == 0 {
		return [][]string{nil}
	}
	for i, path := range paths {
		if slices.Contains(paths[:i], path) {
			continue
		}
		rest := slices.Delete(slices.Clone(paths), i, i+1)
		for _, tail := range permutations(rest) {
			all = append(all, append([]string{path}, tail...))
		}
	}
	return all
}
