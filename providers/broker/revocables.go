package broker

import (
	"container/list"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/providers"
)

const (
	// revocableFor bounds for how long it is known how a token is revoked, and revocableHeld of how many of the cluster's tokens, and of those of
	// each namespace: what is older, or beyond, dies of its age.
	revocableFor           = 48 * time.Hour
	revocableHeld          = 1 << 14
	revocableHeldOfATenant = 1 << 8
)

// revocable is a token, and who can revoke it.
type revocable struct {
	name, id string
	req      providers.Request
	putAt    time.Time
}

// revocables are the tokens that can be revoked. What one tenant has minted makes nobody else's be forgotten.
type revocables struct {
	clock clock.PassiveClock

	mu     sync.Mutex
	tokens map[string]*list.Element
	// tenants have lists of *revocable, the one put longest ago first.
	tenants map[string]*list.List
}

func newRevocables(c clock.PassiveClock) *revocables {
	return &revocables{clock: c, tokens: map[string]*list.Element{}, tenants: map[string]*list.List{}}
}

func (r *revocables) put(token revocable) {
	r.mu.Lock()
	defer r.mu.Unlock()
	token.putAt = r.clock.Now()
	r.sweep(token.putAt)
	if e, known := r.tokens[token.name]; known {
		r.remove(e)
	}
	tenant, most := token.req.Tenant, revocableHeldOfATenant
	if tenant == "" {
		most = revocableHeld
	}
	all := r.tenants[tenant]
	if all == nil {
		all = list.New()
		r.tenants[tenant] = all
	}
	r.tokens[token.name] = all.PushBack(&token)
	if all.Len() > most {
		r.remove(all.Front())
	}
}

func (r *revocables) get(name string) (token revocable, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, known := r.tokens[name]
	if known {
		token = *e.Value.(*revocable)
	}
	return token, known
}

func (r *revocables) forget(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, known := r.tokens[name]; known {
		r.remove(e)
	}
}

// sweep forgets what has had its time. The caller holds the lock.
func (r *revocables) sweep(now time.Time) {
	for _, all := range r.tenants {
		for e := all.Front(); e != nil && now.Sub(e.Value.(*revocable).putAt) >= revocableFor; e = all.Front() {
			r.remove(e)
		}
	}
}

// remove forgets one. The caller holds the lock.
func (r *revocables) remove(e *list.Element) {
	token := e.Value.(*revocable)
	delete(r.tokens, token.name)
	all := r.tenants[token.req.Tenant]
	if all.Remove(e); all.Len() == 0 {
		delete(r.tenants, token.req.Tenant)
	}
}
