package broker

import "github.com/regcred/regcred/providers"

// maxWaiters bounds those who wait for one call, or for one trial.
const maxWaiters = 1 << 16

// waiters are those who wait for one thing.
type waiters map[providers.Waiter]struct{}

// add says whether w is woken when there is news: not if too many are waiting. A nil one does not want to be.
func (ws *waiters) add(w providers.Waiter) bool {
	if w == nil {
		return true
	}
	if *ws == nil {
		*ws = waiters{}
	}
	if _, known := (*ws)[w]; !known && len(*ws) >= maxWaiters {
		return false
	}
	(*ws)[w] = struct{}{}
	return true
}

// wake is called without the Broker's lock.
func (ws waiters) wake() {
	for w := range ws {
		w.Wake()
	}
}

func wake(all []waiters) {
	for _, ws := range all {
		ws.wake()
	}
}
