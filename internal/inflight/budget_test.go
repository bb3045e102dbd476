package inflight

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func TestATenantTakesItsShareAndNoMore(t *testing.T) {
	b := New(8, 2)
	var held []func()
	for range 2 {
		release, ok := b.Try("bad", 1)
		if !ok {
			t.Fatal("there is no room for its share")
		}
		held = append(held, release)
	}
	if _, ok := b.Try("bad", 1); ok {
		t.Error("a tenant has more than its share")
	}
	release, ok := b.Try("good", 2)
	if !ok {
		t.Fatal("there is no room for its neighbour")
	}
	release()
	held[0]()
	held[0]() // does nothing
	if _, ok := b.Try("bad", 2); ok {
		t.Error("what was released once was counted twice")
	}
	if release, ok := b.Try("bad", 1); !ok {
		t.Error("what was released is not there again")
	} else {
		release()
	}
	held[1]()
	if len(b.tenants) != 0 {
		t.Errorf("%d tenants are remembered that hold nothing", len(b.tenants))
	}
}

func TestAllTenantsTogetherTakeTheBudget(t *testing.T) {
	b := New(4, 2)
	for _, name := range []string{"a", "b"} {
		if _, ok := b.Try(name, 100); !ok { // as much as a share
			t.Fatal("there is no room")
		}
	}
	if _, ok := b.Try("c", 1); ok {
		t.Error("there is more than the budget")
	}
	if len(b.tenants) != 2 {
		t.Error("who got nothing is remembered")
	}
}

func TestACrowdOfOneTenantDoesNotStandInFrontOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(4, 2)
		ctx, cancel := context.WithCancel(t.Context())
		var crowd sync.WaitGroup
		var served atomic.Int32
		for range 1000 {
			crowd.Go(func() {
				if _, err := b.Take(ctx, "bad", 2); err == nil {
					served.Add(1) // and is never released
				}
			})
		}
		synctest.Wait()
		if n := served.Load(); n != 1 {
			t.Errorf("%d of the crowd were served at once, want 1", n)
		}
		release, err := b.Take(ctx, "good", 2)
		if err != nil {
			t.Fatal(err)
		}
		release()
		cancel()
		crowd.Wait()
		if n := b.tenants["bad"].users; n != 1 {
			t.Errorf("%d of the crowd are remembered after they gave up", n)
		}
	})
}
