package target

import (
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/internal/expiring"
	"github.com/regcred/regcred/providers"
)

// holders know which Secrets hold which tokens that can be revoked, from what was written there. What a Secret itself says of that, others may
// have copied from another.
type holders struct {
	// released is told of a token that no Secret holds any more.
	released func(token providers.TokenName)

	mu     sync.Mutex
	held   *expiring.Kept[client.ObjectKey, string, holding]
	counts map[providers.TokenName]int
}

// holding is what one Secret holds, and the namespace of its credential; empty for the cluster's.
type holding struct {
	tokens []providers.TokenName
	tenant string
}

func newHolders(bound, share int, released func(providers.TokenName)) *holders {
	return &holders{
		released: released, counts: map[providers.TokenName]int{},
		held: expiring.NewKept(bound, share, func(_ client.ObjectKey, h holding) string { return h.tenant }),
	}
}

// put says what the Secret of a tenant's credential holds from now on, and returns the tokens of another of which that is not known any more, as
// there is no room for both.
func (h *holders) put(secret client.ObjectKey, tenant string, tokens []providers.TokenName) (unknown []providers.TokenName) {
	h.mu.Lock()
	before, _ := h.held.Get(secret)
	for _, token := range tokens {
		h.counts[token]++
	}
	free := h.letGo(before.tokens)
	if len(tokens) == 0 {
		h.held.Delete(secret)
	} else if other, full := h.held.Put(secret, holding{tokens, tenant}); full {
		h.letGo(other.tokens)
		unknown = other.tokens
	}
	h.mu.Unlock()
	for _, token := range free {
		h.released(token)
	}
	return unknown
}

// letGo returns those of the tokens that nobody holds any more.
func (h *holders) letGo(tokens []providers.TokenName) (free []providers.TokenName) {
	for _, token := range tokens {
		if h.counts[token]--; h.counts[token] == 0 {
			delete(h.counts, token)
			free = append(free, token)
		}
	}
	return free
}

// of are the tokens that a Secret holds.
func (h *holders) of(secret client.ObjectKey) []providers.TokenName {
	h.mu.Lock()
	defer h.mu.Unlock()
	held, _ := h.held.Get(secret)
	return held.tokens
}

func (h *holders) holds(token providers.TokenName) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counts[token] > 0
}

// Holds says whether a Secret holds the token of this name, as far as it was written here.
func (r *Reconciler) Holds(token providers.TokenName) bool { return r.holders.holds(token) }

// noteTokens takes note of what was written into the target's Secret. The tokens of a Secret that it loses sight of for that live to their end.
func (r *Reconciler) noteTokens(t credential.Target, entries []*EntryState) {
	before := r.holders.of(t.Secret())
	tokens := sets.Set[providers.TokenName]{}
	for _, e := range entries {
		name := providers.NewTokenName(e.Record.Source, e.Record.ID)
		if name == "" || len(e.auths) == 0 || e.readBack && !slices.Contains(before, name) {
			continue
		}
		tokens.Insert(name)
	}
	r.spare(r.holders.put(t.Secret(), t.Credential.Namespace, sets.List(tokens)))
}

func (r *Reconciler) spare(tokens []providers.TokenName) {
	for _, token := range tokens {
		r.Tokens.Spare(token)
	}
}
