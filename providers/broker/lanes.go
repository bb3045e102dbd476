package broker

import (
	"container/heap"
	"container/list"
)

// lanes hold the calls that wait for an endpoint. The tenants have their turns, one call each; among those of one tenant the most urgent
// goes first, and of equally urgent ones the first that came.
type lanes struct {
	byTenant map[string]*list.Element
	// turn holds *lane; the tenant whose turn it is stands in front.
	turn   list.List
	serial uint64
}

type lane struct {
	tenant  string
	tickets tickets
}

// ticket is a call's place in the lane of one tenant. A call that several tenants wait for has one in each of their lanes.
type ticket struct {
	call    *call
	urgency int
	serial  uint64
	index   int
}

// add puts the call into the lane of the tenant, or moves it forward there.
func (l *lanes) add(c *call, a asker) {
	if t := c.tickets[a.tenant]; t != nil {
		if a.urgency > t.urgency {
			t.urgency = a.urgency
			heap.Fix(&l.byTenant[a.tenant].Value.(*lane).tickets, t.index)
		}
		return
	}
	if l.byTenant == nil {
		l.byTenant = map[string]*list.Element{}
	}
	e := l.byTenant[a.tenant]
	if e == nil {
		e = l.turn.PushBack(&lane{tenant: a.tenant})
		l.byTenant[a.tenant] = e
	}
	l.serial++
	t := &ticket{call: c, urgency: a.urgency, serial: l.serial}
	c.tickets[a.tenant] = t
	heap.Push(&e.Value.(*lane).tickets, t)
}

// next takes out the call whose turn it is, among the tenants that are admitted, and says in whose turn it is; nil if there is none.
func (l *lanes) next(admits func(tenant string) bool) (c *call, tenant string) {
	for e := l.turn.Front(); e != nil; e = e.Next() {
		in := e.Value.(*lane)
		if !admits(in.tenant) {
			continue
		}
		c = in.tickets[0].call
		l.turn.MoveToBack(e)
		l.remove(c)
		return c, in.tenant
	}
	return nil, ""
}

// remove takes the call out of all lanes.
func (l *lanes) remove(c *call) {
	for tenant := range c.tickets {
		l.leave(c, tenant)
	}
}

// leave takes the call out of the lane of one tenant.
func (l *lanes) leave(c *call, tenant string) {
	e := l.byTenant[tenant]
	in := e.Value.(*lane)
	heap.Remove(&in.tickets, c.tickets[tenant].index)
	delete(c.tickets, tenant)
	if len(in.tickets) == 0 {
		l.turn.Remove(e)
		delete(l.byTenant, tenant)
	}
}

// drain takes out the calls of those tenants for which there is a rest, and returns those that nobody else waits for.
func (l *lanes) drain(resting func(tenant string) *restingError) []drained {
	var out []drained
	for e := l.turn.Front(); e != nil; {
		in := e.Value.(*lane)
		e = e.Next()
		rest := resting(in.tenant)
		if rest == nil {
			continue
		}
		for n := len(in.tickets); n > 0; n-- {
			c := in.tickets[n-1].call
			l.leave(c, in.tenant)
			if len(c.tickets) == 0 {
				out = append(out, drained{c, rest})
			}
		}
	}
	return out
}

// len is how many wait; a call that several tenants wait for counts for each of them.
func (l *lanes) len() int {
	n := 0
	for e := l.turn.Front(); e != nil; e = e.Next() {
		n += len(e.Value.(*lane).tickets)
	}
	return n
}

// tickets implements heap.Interface.
type tickets []*ticket

func (t tickets) Len() int { return len(t) }
func (t tickets) Less(i, j int) bool {
	if t[i].urgency != t[j].urgency {
		return t[i].urgency > t[j].urgency
	}
	return t[i].serial < t[j].serial
}
func (t tickets) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}
func (t *tickets) Push(x any) {
	x.(*ticket).index = len(*t)
	*t = append(*t, x.(*ticket))
}
func (t *tickets) Pop() any {
	old := *t
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	return last
}
