package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// garbage is how many allocated bytes may leave something to give back: it takes a process without work minutes to come to that.
	garbage = 4 << 20
	// calm is how many bytes are allocated at most between two looks while nothing is going on.
	calm = 1 << 20
	// lookEvery is how long after another look one is taken.
	lookEvery = time.Second
)

// thrift gives the machine back what a burst has taken as soon as it is over: the first fill of the caches, a fan-out, a rotation. The runtime
// would keep it for the next burst, which may be hours away. In the midst of work it does nothing, as each collection would be one more.
type thrift struct {
	// looked is how many bytes had been allocated at the last look, and given how many when memory was given back last.
	looked, given uint64
}

// due says whether memory is to be given back, by the bytes that were allocated since the process began.
func (t *thrift) due(allocated uint64) bool {
	resting := allocated-t.looked < calm
	t.looked = allocated
	if !resting || allocated-t.given < garbage {
		return false
	}
	t.given = allocated
	return true
}

// Start implements manager.Runnable.
func (t *thrift) Start(ctx context.Context) error {
	allocated := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		metrics.Read(allocated)
		if t.due(allocated[0].Value.Uint64()) {
			debug.FreeOSMemory()
		}
	}
}

// NeedLeaderElection lets a replica that waits for the Lease be thrifty, too.
func (*thrift) NeedLeaderElection() bool { return false }
