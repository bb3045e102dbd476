package target

import (
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
)

// optional says whether images can be pulled without a login of the entry: an expired one does harm there, as the registry refuses what it
// would have given to nobody in particular.
func optional(spec *v1alpha1.Registry) bool { return spec.ECRPublic != nil }

// canLapse says whether an expired login of the entry does harm. A login by hand does not end with its override: it stays until there is a token.
func (e *EntryState) canLapse() bool { return e.optional && e.Known && e.OverrideUntil.IsZero() }

// lapsed says whether the Secret is better off without what it holds of the entry. It is the exception to the last good bytes that stay.
func (e *EntryState) lapsed(now time.Time) bool {
	return e.canLapse() && !e.Fresh && !e.Record.ExpiresAt.After(now)
}

// lapsesIn is when it will be; 0 for never.
func (e *EntryState) lapsesIn(now time.Time) time.Duration {
	if !e.canLapse() {
		return 0
	}
	return max(e.Record.ExpiresAt.Sub(now), 0)
}

// lapse takes out of the entries what the Secret is better off without, and says whether there was any.
func lapse(entries []*EntryState, now time.Time) (lapsed bool) {
	for _, e := range entries {
		if e.lapsed(now) {
			e.auths, e.Known, lapsed = nil, false, true
		}
	}
	return lapsed
}
