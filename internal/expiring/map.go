// Package expiring has a map that forgets: what tenants or clouds can make grow is bounded in number and in time.
package expiring

import (
	"container/list"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Map remembers each value for a while after it was put, and no more than so many at a time: when it is full, what was put longest ago
// makes room. It is safe for concurrent use.
type Map[K comparable, V any] struct {
	clock clock.PassiveClock
	ttl   time.Duration
	bound int

	mu    sync.Mutex
	items map[K]*list.Element
	// order holds *item[K, V], the one put longest ago first. As all live equally long, it is the first to go.
	order list.List
}

type item[K comparable, V any] struct {
	key   K
	value V
	putAt time.Time
}

// New returns an empty map of at most bound values, each of which is forgotten ttl after it was put.
func New[K comparable, V any](c clock.PassiveClock, ttl time.Duration, bound int) *Map[K, V] {
	return &Map[K, V]{clock: c, ttl: ttl, bound: bound, items: map[K]*list.Element{}}
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

// Update replaces what is remembered of the key, or its absence, by what change makes of it. change is called with the map locked.
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
	now := m.clock.Now()
	if e, known := m.items[key]; known {
		i := e.Value.(*item[K, V])
		i.value, i.putAt = value, now
		m.order.MoveToBack(e)
		return
	}
	m.items[key] = m.order.PushBack(&item[K, V]{key, value, now})
	if len(m.items) > m.bound {
		m.remove(m.order.Front())
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
	delete(m.items, e.Value.(*item[K, V]).key)
	m.order.Remove(e)
}
