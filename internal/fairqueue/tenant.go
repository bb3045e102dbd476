package fairqueue

import "github.com/regcred/regcred/internal/ranking"

// tenant is whoever has a turn in each round.
type tenant[T comparable] struct {
	name  string
	items ranking.Of[*item[T]]
	busy  int
	// round is the one in which it has its next turn: at most the one after the present.
	round int
	place int
}

// item stands for a key in the queue of the library, whose maps never shrink: a pointer in them is a fraction of what is pointed to.
type item[T comparable] struct {
	key    T
	tenant *tenant[T]
	// announced is whether it is about to be pushed, at once or when the work on it is done, and next the priority that it is to have.
	announced bool
	next      int
	// taken is whether it is worked on.
	taken    bool
	priority int
	// rank is the item's age, later by its lack of urgency: that many newer ones may overtake it.
	rank int
	// place is where it waits among its tenant's; -1 if it does not.
	place int
}

func (t *tenant[T]) idle() bool { return t.busy == 0 && len(t.items) == 0 }

func (t *tenant[T]) Before(other *tenant[T]) bool {
	if t.round != other.round {
		return t.round < other.round
	}
	a, b := t.items[0], other.items[0]
	if a.priority != b.priority {
		return a.priority > b.priority
	}
	return a.rank < b.rank
}

func (t *tenant[T]) Placed(at int) { t.place = at }

func (it *item[T]) Before(other *item[T]) bool { return it.rank < other.rank }

func (it *item[T]) Placed(at int) { it.place = at }
