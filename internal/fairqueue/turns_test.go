package fairqueue

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"k8s.io/client-go/util/workqueue"
	"pgregory.net/rapid"
)

type work struct {
	tenant string
	n      int
}

func tenantOf(w work) string { return w.tenant }

// order is turns in the queue of the library that they are made for.
type order struct {
	queue *workqueue.Typed[*item[work]]
	turns *turns[work]
}

func newOrder(share int) order {
	turns := newTurns(share, tenantOf)
	return order{workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[*item[work]]{Queue: turns}), turns}
}

func (o order) add(priority int, items ...work) {
	for _, w := range items {
		o.queue.Add(o.turns.announce(w, priority))
	}
}

func (o order) get() *item[work] {
	it, _ := o.queue.Get()
	return it
}

// take returns the next items, as many as there are workers. They are done when it returns.
func (o order) take(workers int) []work {
	var taken []work
	for range workers {
		if o.turns.Len() == 0 {
			break
		}
		taken = append(taken, o.get().key)
	}
	for _, w := range taken {
		o.finish(w)
	}
	return taken
}

func (o order) finish(w work) {
	it := o.turns.done(w)
	o.queue.Done(it)
	o.turns.forget(it)
}

func flood(tenant string, n int) []work {
	items := make([]work, n)
	for i := range items {
		items[i] = work{tenant, i}
	}
	return items
}

func TestFloodDoesNotHoldUpANeighbour(t *testing.T) {
	o := newOrder(16)
	o.add(0, flood("bad", 10_000)...)
	o.take(1000)
	due := work{"good", 0}
	o.add(-300, due)
	if got := o.take(2); !slices.Contains(got, due) {
		t.Errorf("next are %v, want the neighbour's item among them", got)
	}
}

func TestFloodThatIsKeptUpDoesNotHoldUpANeighbour(t *testing.T) {
	o := newOrder(16)
	bad := flood("bad", 100)
	o.add(0, bad...)
	due := work{"good", 0}
	for i := range 100 {
		o.add(-300, due)
		if got := o.take(2); !slices.Contains(got, due) {
			t.Fatalf("turn %d: next are %v, want the neighbour's item among them", i, got)
		}
		o.add(0, bad...)
	}
}

func TestTenantsTakeTurns(t *testing.T) {
	o := newOrder(16)
	o.add(0, flood("a", 3)...)
	o.add(0, flood("b", 5)...)
	want := []work{{"a", 0}, {"b", 0}, {"a", 1}, {"b", 1}, {"a", 2}, {"b", 2}, {"b", 3}, {"b", 4}}
	if got := o.take(len(want)); !slices.Equal(got, want) {
		t.Errorf("order is %v, want %v", got, want)
	}
}

func TestUrgentItemsOfATenantGoFirst(t *testing.T) {
	o := newOrder(16)
	o.add(-60, work{"a", 1}, work{"a", 2})
	o.add(0, work{"a", 3})
	o.add(-5, work{"a", 4})
	o.add(-5, work{"a", 2}) // is raised
	want := []work{{"a", 3}, {"a", 4}, {"a", 2}, {"a", 1}}
	if got := o.take(len(want)); !slices.Equal(got, want) {
		t.Errorf("order is %v, want %v", got, want)
	}
}

func TestUrgentTenantsGoFirstInARound(t *testing.T) {
	o := newOrder(16)
	for i := range 10_000 {
		o.add(-300, work{fmt.Sprint("rotating-", i), 0})
	}
	o.add(0, work{"new", 0}, work{"new", 1})
	if got := o.take(1); got[0] != (work{"new", 0}) {
		t.Errorf("next is %v, want the one without a token", got[0])
	}
	if got := o.take(10_000); slices.Contains(got, work{"new", 1}) {
		t.Error("a second item came before everybody had a turn")
	}
}

func TestWhoComesAgainWaitsForTheNextRound(t *testing.T) {
	o := newOrder(16)
	o.add(-300, work{"a", 0}, work{"b", 0}, work{"c", 0})
	var got []work
	for range 4 {
		o.add(0, work{"bad", 0}) // one urgent item at a time
		got = append(got, o.take(1)...)
	}
	if want := []work{{"bad", 0}, {"a", 0}, {"b", 0}, {"c", 0}}; !slices.Equal(got, want) {
		t.Errorf("order is %v, want %v", got, want)
	}
}

func TestNoItemOfATenantWaitsForEver(t *testing.T) {
	o := newOrder(16)
	old := work{"a", -1}
	o.add(-1<<40, old)
	for i := range maxOvertakes {
		o.add(0, work{"a", 2 * i}, work{"a", 2*i + 1})
		if slices.Contains(o.take(1), old) {
			return
		}
	}
	t.Errorf("the old item was overtaken by %d newer ones", maxOvertakes)
}

func TestATenantTakesItsShareOfTheWorkers(t *testing.T) {
	o := newOrder(2)
	o.add(0, flood("bad", 5)...)
	first := o.get().key
	o.get()
	if n := o.turns.Len(); n != 0 {
		t.Fatal("a third worker may have an item")
	}
	o.add(-300, work{"good", 0})
	if w := o.get().key; w.tenant != "good" {
		t.Errorf("next is %v, want the neighbour's", w)
	}
	o.finish(first)
	if w := o.get().key; w != (work{"bad", 2}) {
		t.Errorf("next is %v, want the third", w)
	}
}

func TestTenantsAreForgotten(t *testing.T) {
	o := newOrder(16)
	for i := range 1000 {
		o.add(0, work{fmt.Sprint("t", i), 0})
	}
	o.take(1000)
	if n := len(o.turns.tenants) + len(o.turns.items) + len(o.turns.served); n != 0 {
		t.Errorf("%d things are remembered of tenants that have nothing to do", n)
	}
}

func TestTheRoomThatACrowdTookIsGivenBack(t *testing.T) {
	o := newOrder(16)
	grown := reflect.ValueOf(o.turns.items).Pointer()
	o.add(0, flood("a", 10*crowd)...)
	for o.turns.Len() > 0 {
		o.take(1)
	}
	if reflect.ValueOf(o.turns.items).Pointer() == grown {
		t.Error("the map that held the crowd is still there")
	}
}

// model is what is known of a queue from what went in and what came out.
type model struct {
	*rapid.T
	order
	due     map[work]int // and the priority
	working map[work]bool
	again   map[work]bool // added while it was worked on
	// overtaken counts whose items came while a tenant waited that could have had a turn.
	overtaken map[string]map[string]int
}

const share = 2

func (m *model) busy(tenant string) (n int) {
	for w := range m.working {
		if w.tenant == tenant {
			n++
		}
	}
	return n
}

func (m *model) add(rt *rapid.T) {
	w := work{rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(rt, "tenant"), rapid.IntRange(0, 9).Draw(rt, "n")}
	priority := rapid.IntRange(-20, 1).Draw(rt, "priority")
	if m.working[w] {
		m.again[w] = true
	} else if known, ok := m.due[w]; !ok || known < priority {
		m.due[w] = priority
	}
	if !rapid.Bool().Draw(rt, "raise") || !m.turns.raise(w, priority) {
		m.order.add(priority, w)
	}
}

func (m *model) get(rt *rapid.T) {
	free := map[string]bool{}
	for w := range m.due {
		if m.busy(w.tenant) < share {
			free[w.tenant] = true
		}
	}
	if m.turns.Len() != len(free) {
		rt.Fatalf("%d tenants can have a turn, want %v", m.turns.Len(), free)
	}
	if len(free) == 0 {
		return
	}
	next := m.order.get()
	w := next.key
	if _, ok := m.due[w]; !ok || m.working[w] || !free[w.tenant] {
		rt.Fatalf("%v was handed out; due are %v, worked on %v", w, m.due, m.working)
	}
	if got := next.priority; !m.again[w] && got < m.due[w] {
		rt.Fatalf("%v has the priority %d, want %d", w, got, m.due[w])
	}
	delete(m.due, w)
	m.working[w] = true
	delete(m.overtaken, w.tenant)
	for tenant := range free {
		if tenant == w.tenant {
			continue
		}
		if m.overtaken[tenant] == nil {
			m.overtaken[tenant] = map[string]int{}
		}
		if m.overtaken[tenant][w.tenant]++; m.overtaken[tenant][w.tenant] > 2 {
			rt.Fatalf("%s was overtaken by %s again and again", tenant, w.tenant)
		}
	}
}

func (m *model) done(rt *rapid.T) {
	if len(m.working) == 0 {
		return
	}
	working := make([]work, 0, len(m.working))
	for w := range m.working {
		working = append(working, w)
	}
	slices.SortFunc(working, func(a, b work) int {
		if a.tenant != b.tenant {
			return int(a.tenant[0]) - int(b.tenant[0])
		}
		return a.n - b.n
	})
	w := rapid.SampledFrom(working).Draw(rt, "done")
	delete(m.working, w)
	if m.again[w] {
		delete(m.again, w)
		m.due[w] = -20 // at least
	}
	m.finish(w)
}

func TestTurnsKeepTheirRules(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{T: rt, order: newOrder(share), due: map[work]int{}, working: map[work]bool{}, again: map[work]bool{}, overtaken: map[string]map[string]int{}}
		rt.Repeat(map[string]func(*rapid.T){"add": m.add, "get": m.get, "done": m.done})
		for len(m.due)+len(m.working) > 0 { // whatever was added comes out
			m.get(rt)
			m.done(rt)
		}
		if n := m.turns.waiting() + len(m.turns.items) + len(m.turns.tenants); n != 0 {
			rt.Fatalf("%d items and tenants are left", n)
		}
	})
}
