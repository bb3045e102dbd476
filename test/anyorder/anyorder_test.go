package anyorder

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	seed      = flag.Uint64("seed", 1, "the first seed")
	histories = flag.Int("histories", 5, "how many histories there are, each with the next seed")
)

const (
	// length is how many edits a history has.
	length = 30
	// patience bounds a failing test; no passing one waits for it.
	patience = 2 * time.Minute
)

func TestAnyOrderEndsWhereTheLastWishEnds(t *testing.T) {
	for n := range *histories {
		seed := *seed + uint64(n)
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { live(t, seed) }) {
			return // the next would wait in vain, too, for as long
		}
	}
}

func live(t *testing.T, seed uint64) {
	t.Helper()
	h := &history{seed: seed, wishes: newWishes(), chance: rand.New(rand.NewPCG(seed, 0)), damage: map[string]int{}, occupied: map[string]bool{}, valid: true}
	h.world = apply(t, fmt.Sprintf("w%dx", seed), h.wishes)
	defer h.end()
	for len(h.did) < length {
		if did := edits[h.pick(len(edits))](h); did != "" {
			h.did = append(h.did, did)
		}
		if h.pick(3) > 0 { // or at once
			<-time.After(time.Duration(h.pick(400)) * time.Millisecond)
		}
	}
	h.settle()
	h.did = append(h.did, h.wish())
	h.alike("f")
	// Once all is well, nothing else makes up for an event that is missed.
	for n, edit := range lastEdits {
		h.did = append(h.did, edit(h))
		h.alike(fmt.Sprintf("g%dx", n))
	}
}

// alike waits until the world and what is applied afresh look the same, twice in a row.
func (h *history) alike(prefix string) {
	h.Helper()
	afresh := apply(h.T, fmt.Sprintf("%s%dx", prefix, h.seed), h.wishes)
	defer afresh.end()
	ctx, cancel := cluster.Within(h.Context(), patience)
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for same := 0; same < 2; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			h.Fatalf("again: make anyorder SEED=%d HISTORIES=1; after\n  %s\nthe world is not what is applied afresh (%v; -afresh +history):\n%s",
				h.seed, strings.Join(h.did, "\n  "), context.Cause(ctx), cmp.Diff(strings.Split(afresh.picture(), "\n"), strings.Split(h.picture(), "\n")))
		}
		if afresh.picture() == h.picture() {
			same++
		} else {
			same = 0
		}
	}
}
