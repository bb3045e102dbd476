package broker

import (
	"slices"
	"time"
)

// stampsHeld bounds the refresh requests that a slot knows. When there are more, the one that was seen first is forgotten: if it is asked for
// again it counts as new, which the floor between mints makes cheap.
const stampsHeld = 128

// stamps are the refresh requests that a slot has seen, and when it saw each of them first, in that order.
type stamps []stamp

type stamp struct {
	refresh string
	at      time.Time
}

// see takes note of a refresh request.
func (s *stamps) see(refresh string, now time.Time) {
	if refresh == "" || slices.ContainsFunc(*s, func(known stamp) bool { return known.refresh == refresh }) {
		return
	}
	if len(*s) == stampsHeld {
		*s = slices.Delete(*s, 0, 1)
	}
	*s = append(*s, stamp{refresh, now})
}

// seen is when the refresh request was seen first; the zero time if there is none.
func (s stamps) seen(refresh string) time.Time {
	for _, known := range s {
		if known.refresh == refresh {
			return known.at
		}
	}
	return time.Time{}
}
