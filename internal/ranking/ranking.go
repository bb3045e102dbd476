// Package ranking has a heap whose elements know their place, so that one whose rank changes, or that goes, is found at once.
package ranking

// Of is a heap.Interface: its first element comes before all others. Placed tells an element where it is, -1 outside.
type Of[E interface {
	Before(other E) bool
	Placed(at int)
}] []E

func (r Of[E]) Len() int           { return len(r) }
func (r Of[E]) Less(i, j int) bool { return r[i].Before(r[j]) }

func (r Of[E]) Swap(i, j int) {
	r[i], r[j] = r[j], r[i]
	r[i].Placed(i)
	r[j].Placed(j)
}

// Push implements heap.Interface.
func (r *Of[E]) Push(e any) {
	e.(E).Placed(len(*r))
	*r = append(*r, e.(E))
}

// Pop implements heap.Interface.
func (r *Of[E]) Pop() any {
	last := len(*r) - 1
	e := (*r)[last]
	var none E
	(*r)[last] = none
	*r = (*r)[:last]
	e.Placed(-1)
	return e
}
