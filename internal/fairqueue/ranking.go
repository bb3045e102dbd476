package fairqueue

// ranking is a heap whose elements know their place, -1 outside of it.
type ranking[E interface {
	Before(other E) bool
	Placed(at int)
}] []E

func (r ranking[E]) Len() int           { return len(r) }
func (r ranking[E]) Less(i, j int) bool { return r[i].Before(r[j]) }

func (r ranking[E]) Swap(i, j int) {
	r[i], r[j] = r[j], r[i]
	r[i].Placed(i)
	r[j].Placed(j)
}

func (r *ranking[E]) Push(e any) {
	e.(E).Placed(len(*r))
	*r = append(*r, e.(E))
}

func (r *ranking[E]) Pop() any {
	last := len(*r) - 1
	e := (*r)[last]
	var none E
	(*r)[last] = none
	*r = (*r)[:last]
	e.Placed(-1)
	return e
}
