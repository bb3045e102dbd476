package expiring

import (
	"fmt"
	"testing"
)

type place struct {
	owner string
	n     int
}

func newKeptOf(bound, share int) *Kept[place, string, int] {
	return NewKept(bound, share, func(at place, _ int) string { return at.owner })
}

func TestWhoHasItsShareForgetsItsOwn(t *testing.T) {
	k := newKeptOf(8, 2)
	k.Put(place{"victim", 0}, 0)
	k.Put(place{"", 0}, 0)
	for n := range 100 {
		if _, full := k.Put(place{"mallory", n}, n); full != (n >= 2) {
			t.Fatalf("at the %dth, something was forgotten: %t", n, full)
		}
	}
	_, victims := k.Get(place{"victim", 0})
	_, nobodys := k.Get(place{"", 0})
	_, newest := k.Get(place{"mallory", 99})
	if !victims || !nobodys || !newest || k.Len() != 4 {
		t.Errorf("victim's %t, nobody's %t, its own newest %t are remembered, %d in all", victims, nobodys, newest, k.Len())
	}
}

func TestWhoHasMuchMakesRoom(t *testing.T) {
	const share, victims = 128, 200
	k := newKeptOf(8*share, share)
	for n := range victims {
		k.Put(place{fmt.Sprint("victim-", n), 0}, 0)
	}
	for owner := range 8 { // for whom there is not enough room
		for n := range share {
			k.Put(place{fmt.Sprint(owner), n}, n)
		}
	}
	for n := range victims {
		if _, known := k.Get(place{fmt.Sprint("victim-", n), 0}); !known {
			t.Fatal("who has one makes room for those who have many")
		}
	}
	if k.Len() != 8*share {
		t.Errorf("%d are remembered, not %d", k.Len(), 8*share)
	}
}

func TestTheOwnerWithoutANameMakesRoomLast(t *testing.T) {
	k := newKeptOf(sampled, 2)
	for n := range sampled - 1 {
		k.Put(place{"", n}, n)
	}
	k.Put(place{"a", 0}, 0)
	k.Put(place{"b", 0}, 0)
	if _, known := k.Get(place{"a", 0}); known || k.Len() != sampled {
		t.Errorf("an owner with a name has its place still: %t; %d are remembered", known, k.Len())
	}
	k.Put(place{"", sampled}, 0)
	k.Put(place{"", sampled + 1}, 0)
	if k.Len() != sampled {
		t.Errorf("%d are remembered where there is room for %d", k.Len(), sampled)
	}
}

func TestWhatIsPutAgainTakesOnePlace(t *testing.T) {
	k := newKeptOf(2, 2)
	k.Put(place{"a", 0}, 0)
	k.Put(place{"a", 1}, 0)
	if _, full := k.Put(place{"a", 1}, 1); full {
		t.Error("another was forgotten for it")
	}
	if value, known := k.Get(place{"a", 1}); value != 1 || !known {
		t.Errorf("it is remembered as %d, %t", value, known)
	}
	k.Delete(place{"a", 1})
	k.Delete(place{"a", 1})
	k.Delete(place{"a", 0})
	if k.Len()+len(k.counts) != 0 {
		t.Error("something of it stays")
	}
}

func BenchmarkKeptWhoHasItsShare(b *testing.B) {
	const bound, share = 1 << 16, 1 << 12
	k := newKeptOf(bound, share)
	for n := range bound {
		k.Put(place{fmt.Sprint(n), 0}, 0)
	}
	for n := 0; b.Loop(); n++ {
		k.Put(place{"mallory", n}, n)
	}
}
