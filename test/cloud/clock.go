package cloud

import (
	"sync/atomic"
	"time"
)

// clock is the cloud's own, ahead of or behind ours by an offset. It reads two of our clocks. What the cloud issues (tokens, sessions)
// lives by the injected one. What others stamp (signatures by the SDK, ServiceAccount tokens by the API server) is judged by the
// machine's, as is the Date header, because neither of them knows the injected one.
type clock struct {
	injected func() time.Time
	offset   atomic.Int64
}

func newClock(injected func() time.Time, offset time.Duration) *clock {
	if injected == nil {
		injected = time.Now
	}
	c := &clock{injected: injected}
	c.offset.Store(int64(offset))
	return c
}

func (c *clock) now() time.Time  { return c.injected().Add(time.Duration(c.offset.Load())) }
func (c *clock) wall() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }
