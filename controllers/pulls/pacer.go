package pulls

import (
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/internal/expiring"
)

// shares is how many namespaces it takes to fill what all of them share.
const shares = 4

// pacer is what all namespaces have so many turns of in a second. One of them can take a part of these at most: whoever has more to do waits behind
// itself, and not before the others.
type pacer struct {
	all  *rate.Limiter
	each *expiring.Map[string, *rate.Limiter]
	own  func() *rate.Limiter
}

const (
	// maxPaced bounds the namespaces whose turns are remembered; one that is forgotten begins anew.
	maxPaced = 8192
	// pacedFor is longer than a namespace waits for the last of its turns.
	pacedFor = time.Hour
)

func newPacer(c clock.PassiveClock, every time.Duration, burst int) *pacer {
	return &pacer{
		all:  rate.NewLimiter(rate.Every(every), burst),
		each: expiring.New[string, *rate.Limiter](c, pacedFor, maxPaced),
		own:  func() *rate.Limiter { return rate.NewLimiter(rate.Every(shares*every), max(1, burst/shares)) },
	}
}

// ticket is a place with a pacer: first when it is its turn among those of its namespace, and from then on when among all. The zero value has none yet.
type ticket struct{ own, all time.Time }

// wait is how long it takes until it is the ticket's turn. It keeps its place.
func (l *pacer) wait(t *ticket, namespace string, now time.Time) time.Duration {
	if t.own.IsZero() {
		limiter := l.each.Update(namespace, func(known *rate.Limiter, ok bool) *rate.Limiter {
			if ok {
				return known
			}
			return l.own()
		})
		t.own = now.Add(limiter.ReserveN(now, 1).DelayFrom(now))
	}
	if left := t.own.Sub(now); left > 0 {
		return left
	}
	if t.all.IsZero() {
		t.all = now.Add(l.all.ReserveN(now, 1).DelayFrom(now))
	}
	return max(0, t.all.Sub(now))
}
