package tenants

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"
)

const (
	// greed is by how much one tenant may make the heap grow, and rest what may stay of it once it has gone and time has passed.
	greed, rest = 4 << 20, 3 << 20
	// few is what the objects of any tenant take: its namespace, pull Secret and ServiceAccount.
	few        = 128 << 10
	forgetting = 11 * time.Minute
	// usually is how often the controller may write in the namespace of a tenant, besides status and events.
	usually = 30
	// stormily is how often it may in a storm, of which each event may be answered: there are 1,000 at most.
	stormily = 2000
)

// abuse is what a tenant does, and what its own objects say in the end. What nobody else may notice is the same for all of them.
type abuse struct {
	name string
	do   func(*tenant)
	// says is nil where there is nothing to say, as all was put right.
	says func(*tenant)
	// mints is how many tokens of the shared identity it may cost: a Secret whose token is not in memory costs one. All that is done at once may
	// cost as many as one of them.
	mints int
	// writes is how often the controller may write in the namespace of the tenant instead of usually.
	writes int
	// costs is how much of the heap its own objects may take besides: whoever may create thousands makes everybody hold them.
	costs int64
	// unselected leaves the namespace out of the cluster's credential.
	unselected bool
	// storm is an abuse that goes on while it is looked at: the controller need not come to rest.
	storm bool
}

// mayWrite is how often the controller may write in the namespace of the tenant, besides status and events.
func (a abuse) mayWrite() int {
	if a.storm {
		return max(a.writes, stormily)
	}
	return max(a.writes, usually)
}

// each lets every abuse stand alone. Otherwise many are done at once, each by a tenant of its own.
var each = flag.Bool("each", false, "look at every abuse by itself")

// groups are all abuses. Each has a guard (test/guards).
var groups = []struct {
	name   string
	abuses []abuse
}{
	{"records", recordAbuses},
	{"ownership", ownershipAbuses},
	{"identities", identityAbuses},
	{"calls", callAbuses},
	{"entries", entryAbuses},
	{"links", linkAbuses},
	{"admission", admissionAbuses},
	{"pods", podAbuses},
	{"texts", textAbuses},
	{"events", eventAbuses},
	{"revocation", revocationAbuses},
}

func TestATenantHarmsOnlyItself(t *testing.T) {
	s := setStage(t)
	for _, group := range groups {
		t.Run(group.name, func(t *testing.T) {
			for _, b := range batches(group.abuses) {
				t.Run(b.name, func(t *testing.T) { s.withstands(t, b.abuses...) })
			}
		})
	}
}

// batch is what is done at once.
type batch struct {
	name   string
	abuses []abuse
}

// batches are those that come to rest, and storms, and alone what may take more memory.
func batches(all []abuse) []batch {
	var out []batch
	together := map[string]int{}
	for _, a := range all {
		name := "together"
		switch {
		case *each, a.costs > 0:
			name = a.name
		case a.storm:
			name = "storms"
		}
		at, known := together[name]
		if !known {
			at = len(out)
			together[name], out = at, append(out, batch{name: name})
		}
		out[at].abuses = append(out[at].abuses, a)
	}
	return out
}

// withstands lets one tenant for each abuse do it, and looks at what that is to the others.
func (s *stage) withstands(t *testing.T, abuses ...abuse) {
	t.Helper()
	before, mallories := s.before(t), map[string]*tenant{}
	for _, a := range abuses {
		mallories[a.name] = s.admit(t, a)
	}
	s.settled(t)
	empty := heap(t)

	mints, writes := 0, map[string]int{}
	most := int64(greed + few*len(abuses))
	storm := false
	t.Run("done", func(t *testing.T) {
		for _, a := range abuses {
			t.Run(a.name, func(t *testing.T) {
				t.Parallel()
				a.do(mallories[a.name].in(t))
			})
		}
	})
	for _, a := range abuses {
		mints = max(mints, a.mints)
		writes[mallories[a.name].ns] = a.mayWrite()
		storm = storm || a.storm
		most += a.costs
	}
	if storm {
		goesOn(t)
		s.contained(t, s.written(t), writes)
	} else {
		s.contained(t, s.settled(t), writes)
	}
	s.welcomes(t)
	before.unchanged(t, s.before(t), mints)
	by := grown(t, empty, most)
	t.Logf("the heap has grown by %s", mebibytes(by))
	if by > most {
		t.Errorf("that is more than %s: see %s", mebibytes(most), profile(t, s.tenants, "done"))
	}
	for _, a := range abuses {
		if a.says != nil {
			t.Run(a.name, func(t *testing.T) { a.says(mallories[a.name].in(t)) })
		}
	}
	discreet(t)
	for _, mallory := range mallories {
		mallory.leave()
	}
	for _, mallory := range mallories {
		mallory.gone()
	}
	s.forgets(t, empty, rest+most/16) // the API client's buffers keep the size of the largest object
}

// goesOn lets a storm go on for a quarter of an hour of the controller's time: what waits for a second after its first failure then waits for
// minutes, and whoever else would have to wait for it does, too.
func goesOn(t *testing.T) {
	t.Helper()
	for range 8 {
		if err := controller.Advance(t.Context(), 2*time.Minute); err != nil {
			t.Fatal(err)
		}
		waitFor(t, quiet/3)
	}
}

// admit gives a new tenant the namespace that the abuse is done in.
func (s *stage) admit(t *testing.T, a abuse) *tenant {
	t.Helper()
	s.tenants++
	labels := selected
	if a.unselected {
		labels = nil
	}
	mallory := newTenant(t, fmt.Sprintf("mallory-%d", s.tenants), labels)
	if !a.unselected {
		mallory.pulls(platform)
		mallory.recorded = mallory.record(platform)
	}
	return mallory
}

// contained says that the controller has written for those tenants alone, and for each within its bound.
func (s *stage) contained(t *testing.T, writes, bounds map[string]int) {
	t.Helper()
	neighbours := []string{"(cluster)", s.neighbour.ns}
	for _, m := range s.members {
		neighbours = append(neighbours, m.ns)
	}
	for ns, n := range writes {
		if slices.Contains(neighbours, ns) {
			t.Errorf("the controller has written %d times in %s", n, ns)
		}
		if bound, abused := bounds[ns]; abused && n > bound {
			t.Errorf("the controller has written %d times in %s, want %d at most", n, ns, bound)
		}
	}
}

// forgets lets time pass, and something happen on which the controller looks after its memory.
func (s *stage) forgets(t *testing.T, empty, rest int64) {
	t.Helper()
	if err := controller.Advance(t.Context(), forgetting); err != nil {
		t.Fatal(err)
	}
	s.welcomes(t)
	if kept := grown(t, empty, rest); kept > rest {
		t.Errorf("%s after the tenant has gone, %s of its memory are kept: see %s", forgetting, mebibytes(kept), profile(t, s.tenants, "gone"))
	}
}
