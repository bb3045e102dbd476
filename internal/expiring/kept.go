package expiring

// Kept remembers without an end, and no more than so much at a time: who has its share forgets its own, and when there is no room at all, of
// whoever has much is forgotten. It takes no more memory than a map, and is not safe for concurrent use.
type Kept[K, O comparable, V any] struct {
	bound, share int
	ownerOf      func(K, V) O
	items        map[K]V
	// counts are how much owners with a name have.
	counts map[O]int
}

// sampled is among how many values the one that makes room is looked for: the more an owner has, the likelier it is that one of them is its.
const sampled = 16

// NewKept returns an empty map of at most bound values, of which an owner has share at most. The owner that is the zero value may fill it, and
// is the last to make room for others.
func NewKept[K, O comparable, V any](bound, share int, ownerOf func(K, V) O) *Kept[K, O, V] {
	return &Kept[K, O, V]{bound: bound, share: share, ownerOf: ownerOf, items: map[K]V{}, counts: map[O]int{}}
}

// Get returns what is remembered of the key.
func (k *Kept[K, O, V]) Get(key K) (value V, known bool) {
	value, known = k.items[key]
	return value, known
}

// Len is how many values are remembered.
func (k *Kept[K, O, V]) Len() int { return len(k.items) }

// Put remembers the value. It returns the one that was forgotten for it, if any was: not the one in whose place it is.
func (k *Kept[K, O, V]) Put(key K, value V) (forgotten V, full bool) {
	k.Delete(key)
	owner, none := k.ownerOf(key, value), *new(O)
	var first K
	switch {
	case owner != none && k.counts[owner] >= k.share:
		first, full = k.anyOf(owner), true
	case len(k.items) >= k.bound:
		first, full = k.anyOfWhoHasMuch(), true
	}
	if full {
		forgotten = k.items[first]
		k.Delete(first)
	}
	k.items[key] = value
	if owner != none {
		k.counts[owner]++
	}
	return forgotten, full
}

// Delete forgets the key.
func (k *Kept[K, O, V]) Delete(key K) {
	value, known := k.items[key]
	if !known {
		return
	}
	delete(k.items, key)
	owner, none := k.ownerOf(key, value), *new(O)
	if owner == none {
		return
	}
	if k.counts[owner]--; k.counts[owner] == 0 {
		delete(k.counts, owner)
	}
}

// anyOf is a key of an owner that has its share. A walk over a map begins anywhere, so that few are looked at.
func (k *Kept[K, O, V]) anyOf(owner O) (key K) {
	for key, value := range k.items {
		if k.ownerOf(key, value) == owner {
			return key
		}
	}
	return key
}

// anyOfWhoHasMuch is a key of whoever has most among some that are looked at.
func (k *Kept[K, O, V]) anyOfWhoHasMuch() (first K) {
	looked, most := 0, -1
	for key, value := range k.items {
		if n := k.counts[k.ownerOf(key, value)]; n > most {
			first, most = key, n
		}
		if looked++; looked == sampled {
			break
		}
	}
	return first
}
