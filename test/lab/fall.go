package lab

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// WhileUp is ctx until a controller ends by itself: who waits for what a controller does must not wait for one that is dead. The cause is then
// how it ended, with the end of its log.
func (l *Lab) WhileUp(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(l.up, func() { cancel(context.Cause(l.up)) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// Within is WhileUp for so long at most.
func (l *Lab) Within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, up := l.WhileUp(ctx)
	ctx, cancel := context.WithTimeout(ctx, limit)
	return ctx, func() {
		cancel()
		up()
	}
}

// look tells everybody who waits of a controller that has ended by itself.
func (l *Lab) look(c *Controller) {
	<-c.done
	if !c.mayEnd.Load() {
		l.fall(fmt.Errorf("a controller has ended by itself (%v); the end of its log:\n%s", c.cmd.ProcessState, c.log.end()))
	}
}

// MayEnd says that the controller's end is what a test waits for.
func (c *Controller) MayEnd() { c.mayEnd.Store(true) }

// logEnd is how many bytes of a log are kept.
const logEnd = 4 << 10

// tail passes a log on, and keeps its end.
type tail struct {
	to io.Writer

	mu   sync.Mutex
	last []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	t.last = slices.Delete(t.last, 0, max(0, len(t.last)-logEnd))
	_, _ = t.to.Write(p) // a log that is closed already must not end who writes it
	return len(p), nil
}

func (t *tail) end() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.last)
}
