// Package expiring has a map that forgets: what tenants or clouds can make grow is bounded in number and in time, and who fills it forgets
// its own.
package expiring

import (
	"container/list"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Map remembers each value for a while after it was put, and no more than so many at a time: when it is full, what was put longest ago
// makes room, of whoever has most in it. It is safe for concurrent use.
type Map[K comparable, V any] struct {
	clock clock.PassiveClock
	ttl   time.Duration
	bound int
	// ownerOf says whose a value is; nil if all have one owner.
	ownerOf func(K, V) string

	mu    sync.Mutex
	items map[K]*list.Element
	// order holds *item[K, V], the one put longest ago first. As all live equally long, it is the first to go.
	order  list.List
	shares *shares
}

type item[K comparable, V any] struct {
	key   K
	value V
	putAt time.Time
	part  *part
}

// New returns an empty map of at most bound values, and forgets each ttl after it was put. It is for what nobody can fill alone.
func New[K comparable, V any](c clock.PassiveClock, ttl time.Duration, bound int) *Map[K, V] {
	return &Map[K, V]{clock: c, ttl: ttl, bound: bound, items: map[K]*list.Element{}}
}

// Shared returns a map as New does, in which each owner has share values at most. An owner without a name may fill it, and is the last to
// make room for others.
func Shared[K comparable, V any](c clock.PassiveClock, ttl time.Duration, bound, share int, ownerOf func(K, V) string) *Map[K, V] {
	m := New[K, V](c, ttl, bound)
	m.ownerOf, m.shares = ownerOf, newShares(share)
	return m
}

// Get returns what is remembered of the key. Asking does not make it remembered for longer.
func (m *Map[K, V]) Get(key K) (value V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep()
	return m.get(key)
}

// Put remembers the value from now on.
func (m *Map[K, V]) Put(key K, value V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep()
	m.put(key, value)
}

// Add remembers the value from now on if nothing is remembered of the key, and says whether that was so. What is there stays, and is
// forgotten no later for it.
func (m *Map[K, V]) Add(key K, value V) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep()
	if _, known := m.items[key]; known {
		return false
	}
	m.put(key, value)
	return true
}

// Update replaces what is remembered of the key, or its absence, by what change makes of it, and remembers that from now on, as Put does. change is
// called with the map locked.
func (m *Map[K, V]) Update(key K, change func(value V, known bool) V) V {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep()
	value := change(m.get(key))
	m.put(key, value)
	return value
}

// Delete forgets the key at once.
func (m *Map[K, V]) Delete(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, known := m.items[key]; known {
		m.remove(e)
	}
}

// Len is how many values are remembered.
func (m *Map[K, V]) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep()
	return len(m.items)
}

func (m *Map[K, V]) get(key K) (value V, ok bool) {
	e, ok := m.items[key]
	if ok {
		value = e.Value.(*item[K, V]).value
	}
	return value, ok
}

func (m *Map[K, V]) put(key K, value V) {
	if e, known := m.items[key]; known {
		m.remove(e)
	}
	i := &item[K, V]{key: key, value: value, putAt: m.clock.Now()}
	if m.shares == nil {
		m.makeRoom(m.order.Front())
		m.items[key] = m.order.PushBack(i)
		return
	}
	owner := m.ownerOf(key, value)
	if first := m.shares.full(owner); first != nil {
		m.remove(first)
	}
	m.makeRoom(m.shares.first())
	e := m.order.PushBack(i)
	m.items[key], i.part = e, m.shares.add(owner, e)
}

// makeRoom forgets the value if there is no room for another.
func (m *Map[K, V]) makeRoom(first *list.Element) {
	if len(m.items) >= m.bound && first != nil {
		m.remove(first)
	}
}

// sweep forgets what has had its time. Every call does, so that what nobody asks for goes, too.
func (m *Map[K, V]) sweep() {
	now := m.clock.Now()
	for e := m.order.Front(); e != nil && now.Sub(e.Value.(*item[K, V]).putAt) >= m.ttl; e = m.order.Front() {
		m.remove(e)
	}
}

func (m *Map[K, V]) remove(e *list.Element) {
	i := e.Value.(*item[K, V])
	delete(m.items, i.key)
	m.order.Remove(e)
	if i.part != nil {
		m.shares.remove(i.part)
	}
}
