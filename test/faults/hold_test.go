package faults

import (
	"slices"
	"time"
)

func (f *front) add(w *watched) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watches = append(f.watches, w)
	f.note()
}

func (f *front) remove(w *watched) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watches = slices.DeleteFunc(f.watches, func(other *watched) bool { return other == w })
}

// note tells who waits that something has moved. The caller holds the lock.
func (f *front) note() {
	close(f.moved)
	f.moved = make(chan struct{})
}

// hold keeps all events back from now on.
func (f *front) hold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.holding = true
}

// atLeast waits until so many events wait, for as long as patience lasts, and then as held does.
func (f *front) atLeast(n int, still time.Duration) []*watched {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		f.mu.Lock()
		moved := f.moved
		f.mu.Unlock()
		if len(f.waiting()) >= n {
			return f.held(still)
		}
		select {
		case <-moved:
		case <-deadline.C:
			return f.waiting()
		}
	}
}

// held waits until no event has come for a while, and returns whose events wait, one for each event.
func (f *front) held(still time.Duration) []*watched {
	for {
		f.mu.Lock()
		moved := f.moved
		f.mu.Unlock()
		timer := time.NewTimer(still)
		select {
		case <-moved:
			timer.Stop()
			continue
		case <-timer.C:
		}
		return f.waiting()
	}
}

func (f *front) waiting() (waiting []*watched) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.watches {
		for range w.pending {
			waiting = append(waiting, w)
		}
	}
	return waiting
}

// release lets the first event of a watch through, twice if it is doubled.
func (f *front) release(w *watched, doubled bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(w.pending) == 0 {
		return
	}
	event := w.pending[0]
	w.pending = w.pending[1:]
	w.out <- event
	if doubled {
		w.out <- event
	}
}

// lose drops the events that wait in a watch; the client has to list again.
func (f *front) lose(w *watched) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.pending = nil
	f.gone[w.path] = true
	close(w.drop)
}

// flow lets everything through, from now on too.
func (f *front) flow() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.holding = false
	for _, w := range f.watches {
		for _, event := range w.pending {
			w.out <- event
		}
		w.pending = nil
	}
}
