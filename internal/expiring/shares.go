package expiring

import (
	"container/heap"
	"container/list"

	"github.com/regcred/regcred/internal/ranking"
)

// shares are the parts of a map that are its owners'.
type shares struct {
	// most is how much one owner may have.
	most   int
	owners map[string]*share
	// ranked are the owners, in the order in which they make room.
	ranked ranking.Of[*share]
}

// share is what one owner has.
type share struct {
	owner string
	// order holds *list.Element of the map's own order, the one put longest ago first.
	order list.List
	place int
}

// part is the place of one value in its owner's share.
type part struct {
	of *share
	at *list.Element
}

func newShares(most int) *shares { return &shares{most: most, owners: map[string]*share{}} }

// add counts a value to its owner.
func (s *shares) add(owner string, value *list.Element) *part {
	of := s.owners[owner]
	if of == nil {
		of = &share{owner: owner}
		s.owners[owner] = of
		heap.Push(&s.ranked, of)
	}
	p := &part{of, of.order.PushBack(value)}
	heap.Fix(&s.ranked, of.place)
	return p
}

// full is the value that an owner has to give up for another, as it has its share; nil if it need not.
func (s *shares) full(owner string) *list.Element {
	of := s.owners[owner]
	if owner == "" || of == nil || of.order.Len() < s.most {
		return nil
	}
	return of.first()
}

// first is the value that makes room for another; nil if there is none.
func (s *shares) first() *list.Element {
	if len(s.ranked) == 0 {
		return nil
	}
	return s.ranked[0].first()
}

func (s *shares) remove(p *part) {
	p.of.order.Remove(p.at)
	if p.of.order.Len() == 0 {
		heap.Remove(&s.ranked, p.of.place)
		delete(s.owners, p.of.owner)
		return
	}
	heap.Fix(&s.ranked, p.of.place)
}

// first is the value that was put longest ago.
func (s *share) first() *list.Element { return s.order.Front().Value.(*list.Element) }

// Before says whether s makes room before the other does: whoever has most, and who has no name last.
func (s *share) Before(other *share) bool {
	if (s.owner == "") != (other.owner == "") {
		return other.owner == ""
	}
	return s.order.Len() > other.order.Len()
}

func (s *share) Placed(at int) { s.place = at }
