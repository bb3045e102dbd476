package broker

import (
	"container/list"

	"github.com/regcred/regcred/providers"
)

// shareOfTenant is the part of the memory that one namespace can fill.
const shareOfTenant = 4

// budget bounds the bytes of the tokens in memory, and those of each namespace. When there are too many, those go first that were asked for
// least recently, of the namespace that holds most; those of the administrator's own credentials, which have no tenant, go last.
type budget struct {
	most, used int
	shares     map[string]*share
}

// share is what is held of one tenant.
type share struct {
	used int
	// order holds *slot, the one asked for least recently in front.
	order list.List
}

func newBudget(most int) *budget { return &budget{most: most, shares: map[string]*share{}} }

// add counts the bytes of the slot's token to the tenant, and makes room for them.
func (b *budget) add(s *slot, tenant string) {
	b.drop(s)
	s.tenant = tenant
	of := b.shares[s.tenant]
	if of == nil {
		of = &share{}
		b.shares[s.tenant] = of
	}
	s.size, s.inBudget = sizeOf(s.token), of.order.PushBack(s)
	of.used += s.size
	b.used += s.size
	// The token itself stays: somebody is about to be given it.
	for tenant != "" && of.used > b.most/shareOfTenant && of.order.Len() > 1 {
		b.evict(of)
	}
	for largest := b.largest(s); b.used > b.most && largest != nil; largest = b.largest(s) {
		b.evict(largest)
	}
}

// disown counts the slot's token to nobody in particular from now on.
func (b *budget) disown(s *slot) {
	if s.inBudget != nil && s.tenant != "" {
		b.add(s, "")
	}
}

// evict forgets the bytes of the share that were asked for least recently.
func (b *budget) evict(of *share) {
	least := of.order.Front().Value.(*slot)
	least.token.Logins = nil
	b.drop(least)
}

// ask is told that the slot's token was asked for.
func (b *budget) ask(s *slot) {
	if s.inBudget != nil {
		b.shares[s.tenant].order.MoveToBack(s.inBudget)
	}
}

// drop no longer counts the slot's token.
func (b *budget) drop(s *slot) {
	if s.inBudget == nil {
		return
	}
	of := b.shares[s.tenant]
	of.order.Remove(s.inBudget)
	of.used -= s.size
	b.used -= s.size
	s.inBudget, s.size = nil, 0
	if of.order.Len() == 0 {
		delete(b.shares, s.tenant)
	}
}

// largest is the largest share of a namespace that holds others than the slot, or else the share of nobody in particular; nil if there
// is nothing else at all.
func (b *budget) largest(except *slot) *share {
	var most *share
	for tenant, of := range b.shares {
		alone := of.order.Len() == 1 && of.order.Front().Value.(*slot) == except
		if !alone && tenant != "" && (most == nil || of.used > most.used) {
			most = of
		}
	}
	if own := b.shares[""]; most == nil && own != nil && (own.order.Len() > 1 || own.order.Front().Value.(*slot) != except) {
		return own
	}
	return most
}

// overhead is about what a login takes besides its text.
const overhead = 128

func sizeOf(t providers.Token) int {
	size := 0
	for _, l := range t.Logins {
		size += overhead + len(l.Username) + len(l.Password)
		for _, host := range l.Hosts {
			size += len(host)
		}
	}
	return size
}
