package target

import (
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/providers"
)

// holders know which Secrets hold which tokens that can be revoked, from what was written there. What a Secret itself says of that, others may
// have copied from another.
type holders struct {
	bound int
	// released is told of a token that no Secret holds any more.
	released func(token providers.TokenName)

	mu     sync.Mutex
	tokens map[client.ObjectKey][]providers.TokenName
	counts map[providers.TokenName]int
}

func newHolders(bound int, released func(providers.TokenName)) *holders {
	return &holders{bound: bound, released: released, tokens: map[client.ObjectKey][]providers.TokenName{}, counts: map[providers.TokenName]int{}}
}

// put says what a Secret holds from now on. It fails if there is no room to know that.
func (h *holders) put(secret client.ObjectKey, tokens []providers.TokenName) bool {
	h.mu.Lock()
	before := h.tokens[secret]
	room := len(tokens) == 0 || before != nil || len(h.tokens) < h.bound
	if !room {
		tokens = nil
	}
	for _, token := range tokens {
		h.counts[token]++
	}
	var free []providers.TokenName
	for _, token := range before {
		if h.counts[token]--; h.counts[token] == 0 {
			delete(h.counts, token)
			free = append(free, token)
		}
	}
	if h.tokens[secret] = tokens; len(tokens) == 0 {
		delete(h.tokens, secret)
	}
	h.mu.Unlock()
	for _, token := range free {
		h.released(token)
	}
	return room
}

// of are the tokens that a Secret holds.
func (h *holders) of(secret client.ObjectKey) []providers.TokenName {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tokens[secret]
}

func (h *holders) holds(token providers.TokenName) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counts[token] > 0
}

// Holds says whether a Secret holds the token of this name, as far as it was written here.
func (r *Reconciler) Holds(token providers.TokenName) bool { return r.holders.holds(token) }

// noteTokens takes note of what was written into the target's Secret. A token that it cannot take note of lives to its end.
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
	if !r.holders.put(t.Secret(), sets.List(tokens)) {
		r.spare(sets.List(tokens))
	}
}

func (r *Reconciler) spare(tokens []providers.TokenName) {
	for _, token := range tokens {
		r.Tokens.Spare(token)
	}
}
