// Package clockskew converts the times that others state by their clocks.
package clockskew

import "time"

// tolerable is how far two clocks may differ and still count as one: an answer takes a while, and has whole seconds.
const tolerable = time.Minute

// Ours is the time t of somebody else's clock by ours, where theirs is what that clock showed when ours showed now; t itself if theirs is not known.
func Ours(t, theirs, now time.Time) time.Time {
	if skew := theirs.Sub(now); !theirs.IsZero() && skew.Abs() > tolerable {
		return t.Add(-skew)
	}
	return t
}
