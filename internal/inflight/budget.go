// Package inflight bounds the bytes that are worked on at the same time: what each of many does may be small, and all of it together not.
package inflight

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"
)

// Budget is what all tenants may take together. No tenant takes more than its share of it, nor stands in front of others with what is beyond.
type Budget struct {
	all   *semaphore.Weighted
	share int64

	mu      sync.Mutex
	tenants map[string]*tenant
}

// tenant is known while it takes, or waits for, anything.
type tenant struct {
	share *semaphore.Weighted
	users int
}

// New returns a Budget of so many bytes. One tenant takes its share of them at most.
func New(most, share int64) *Budget {
	return &Budget{all: semaphore.NewWeighted(most), share: min(share, most), tenants: map[string]*tenant{}}
}

// Take waits for room for so many bytes, up to the end of ctx. More than a share count as one. Whoever has taken them calls release once.
func (b *Budget) Take(ctx context.Context, name string, bytes int64) (release func(), err error) {
	bytes = min(bytes, b.share)
	t := b.enter(name)
	if err := t.share.Acquire(ctx, bytes); err != nil {
		b.leave(name, t)
		return nil, err
	}
	if err := b.all.Acquire(ctx, bytes); err != nil {
		t.share.Release(bytes)
		b.leave(name, t)
		return nil, err
	}
	return b.release(name, t, bytes), nil
}

// Try is Take for whoever cannot wait; it says whether there was room.
func (b *Budget) Try(name string, bytes int64) (release func(), ok bool) {
	bytes = min(bytes, b.share)
	t := b.enter(name)
	if !t.share.TryAcquire(bytes) {
		b.leave(name, t)
		return nil, false
	}
	if !b.all.TryAcquire(bytes) {
		t.share.Release(bytes)
		b.leave(name, t)
		return nil, false
	}
	return b.release(name, t, bytes), true
}

func (b *Budget) release(name string, t *tenant, bytes int64) func() {
	return sync.OnceFunc(func() {
		b.all.Release(bytes)
		t.share.Release(bytes)
		b.leave(name, t)
	})
}

func (b *Budget) enter(name string) *tenant {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.tenants[name]
	if t == nil {
		t = &tenant{share: semaphore.NewWeighted(b.share)}
		b.tenants[name] = t
	}
	t.users++
	return t
}

func (b *Budget) leave(name string, t *tenant) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(b.tenants, name)
	}
}
