package broker

import (
	"time"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/internal/expiring"
	"github.com/regcred/regcred/providers"
)

const (
	// maxStamps bounds the refresh requests that a slot knows, and stampsOfTenant those of one namespace. When there are more, the one that was
	// seen first is forgotten: if it is asked for again it counts as new, which the floor between mints makes cheap.
	maxStamps, stampsOfTenant = 1024, 128
	// stampFor is as good as for ever: they end with their slot.
	stampFor = 365 * 24 * time.Hour
)

// stamps are the refresh requests that a slot has seen, and when it saw each of them first. Most slots see none.
type stamps struct {
	known *expiring.Map[stamp, time.Time]
}

// stamp is a refresh request of a tenant: another's that says the same is another.
type stamp struct{ tenant, refresh string }

func stampOf(req providers.Request) stamp { return stamp{req.Tenant, req.RefreshStamp} }

// see takes note of a refresh request.
func (s *stamps) see(c clock.PassiveClock, of stamp) {
	if of.refresh == "" {
		return
	}
	if s.known == nil {
		s.known = expiring.Shared(c, stampFor, maxStamps, stampsOfTenant, func(of stamp, _ time.Time) string { return of.tenant })
	}
	s.known.Add(of, c.Now())
}

// has says whether the refresh request was seen; no refresh request needs to be.
func (s *stamps) has(of stamp) bool { return of.refresh == "" || !s.seen(of).IsZero() }

// seen is when the refresh request was seen first; the zero time if there is none.
func (s *stamps) seen(of stamp) time.Time {
	if s.known == nil || of.refresh == "" {
		return time.Time{}
	}
	at, _ := s.known.Get(of)
	return at
}
