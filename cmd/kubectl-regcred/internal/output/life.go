package output

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
)

// Bar shows how much of a time span is left at now, in width characters: "[######----]".
func Bar(from, to, now time.Time, width int) string {
	life, left := to.Sub(from), to.Sub(now)
	if life <= 0 {
		return "[" + strings.Repeat("-", width) + "]"
	}
	full := int(float64(width) * float64(min(max(left, 0), life)) / float64(life))
	if full == 0 && left > 0 {
		full = 1
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", width-full) + "]"
}

// In says how far away a time is: "in 3h12m" or "2d ago".
func In(at, now time.Time) string {
	if at.Before(now) {
		return Span(now.Sub(at)) + " ago"
	}
	return "in " + Span(at.Sub(now))
}

// Span is a time span as kubectl writes ages.
func Span(d time.Duration) string { return duration.HumanDuration(d) }
