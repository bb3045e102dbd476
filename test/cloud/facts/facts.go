// Package facts is what is known of the real clouds: their hosts, their endpoints and the words of their errors, each with its source and
// the day it was read. Providers and emulators are both tested against it, so that they cannot agree on something that is not so.
//
// A fact is changed only together with its source. What no source says is no fact, and stands in docs as unproven.
package facts

// Error is an answer of a cloud that providers must understand.
type Error struct {
	Source      string
	Status      int
	ContentType string
	Body        string
}
