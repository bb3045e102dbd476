package lab

import (
	"slices"
	"time"
)

// Span is from one moment to another, or to an end that is not known yet.
type Span struct{ From, To time.Time }

// Overlaps is whether the span has a moment between two others.
func (s Span) Overlaps(from, to time.Time) bool {
	return s.From.Before(to) && (s.To.IsZero() || s.To.After(from))
}

func (c *Controller) begins() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.works = append(c.works, Span{From: time.Now()})
}

func (c *Controller) ends() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if last := len(c.works) - 1; c.works[last].To.IsZero() {
		c.works[last].To = time.Now()
	}
}

// Absences are when none of the controllers was at work, from a moment on until now.
func (l *Lab) Absences(from time.Time) (absences []Span) {
	var works []Span
	for _, c := range l.controllers {
		c.mu.Lock()
		works = append(works, c.works...)
		c.mu.Unlock()
	}
	slices.SortFunc(works, func(a, b Span) int { return a.From.Compare(b.From) })
	for _, w := range works {
		if w.From.After(from) {
			absences = append(absences, Span{from, w.From})
		}
		if w.To.IsZero() {
			return absences
		}
		if w.To.After(from) {
			from = w.To
		}
	}
	return append(absences, Span{From: from})
}
