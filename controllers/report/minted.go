package report

import (
	"slices"
	"strings"
	"time"
	"unique"

	"github.com/regcred/regcred/controllers/target"
)

// minted is what is known of an entry's token from whoever minted it. It goes before all records: a tenant can write that of its own Secret, and one
// namespace must not decide what is said of a credential of many.
type minted struct {
	hosts    hosts
	issuedAt time.Time
}

// hosts are the hosts of a token. All targets share one copy.
type hosts = unique.Handle[string]

func hostsOf(e *target.EntryState) hosts { return unique.Make(strings.Join(e.Record.Hosts, ",")) }

// hostsOf are the hosts of an entry's token: those that it was minted for, or else, as after a restart, those that more than half of the records
// name.
func (b *book) hostsOf(entry string) []string {
	known, ok := b.minted[entry]
	if ok {
		return listOf(known.hosts)
	}
	votes, voters := map[hosts]int{}, 0
	b.each(entry, func(e entryStanding) {
		votes[e.hosts]++
		voters++
	})
	for hosts, count := range votes {
		if 2*count > voters {
			return listOf(hosts)
		}
	}
	return nil
}

func listOf(h hosts) []string {
	if h == (hosts{}) || h.Value() == "" {
		return nil
	}
	return strings.Split(h.Value(), ",")
}

// issuedAt is when an entry's last token was issued, or else the time that no half of the records can move; the zero time if there is none.
func (b *book) issuedAt(entry string) time.Time {
	if known, ok := b.minted[entry]; ok {
		return known.issuedAt
	}
	seconds := make([]int64, 0, len(b.targets))
	b.each(entry, func(e entryStanding) { seconds = append(seconds, e.issuedAt.Unix()) })
	if len(seconds) == 0 {
		return time.Time{}
	}
	slices.Sort(seconds)
	return time.Unix(seconds[(len(seconds)-1)/2], 0)
}

// each calls see for every target that holds a token of the entry.
func (b *book) each(entry string, see func(entryStanding)) {
	for _, t := range b.targets {
		if e := t.entry(entry); !e.expiresAt.IsZero() {
			see(e)
		}
	}
}
