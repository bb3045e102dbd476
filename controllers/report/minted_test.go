package report

import (
	"slices"
	"testing"
	"time"

	"github.com/regcred/regcred/controllers/target"
)

const issueSeries = "regcred_token_issue_timestamp_seconds{c,,ClusterRegistryCredential,prod}"

// holds has a namespace report a token of these hosts, issued at that time, as its Secret's record says, or as it was minted.
func (b *bookkeeper) holds(namespace string, fresh bool, issuedAt time.Time, hosts ...string) {
	e := entryHolding("prod", 12*time.Hour, 5*time.Hour)
	e.Fresh, e.Record.IssuedAt, e.Record.Hosts = fresh, issuedAt, hosts
	b.report(namespace, target.Outcome{Entries: []*target.EntryState{e}})
}

// says checks what is said of the credential.
func (b *bookkeeper) says(t *testing.T, issuedAt time.Time, hosts ...string) {
	t.Helper()
	sum := b.Ledger.sum(b.c, []string{"bad", "good", "other"}, metricsStart)
	if got := sum.registries[0].Hosts; !slices.Equal(got, hosts) {
		t.Errorf("status names the hosts %q, want %q", got, hosts)
	}
	if got := scraped(t, b)[issueSeries]; got != float64(issuedAt.Unix()) {
		t.Errorf("issued at %v, want %v", time.Unix(int64(got), 0), issuedAt)
	}
}

func TestARecordOfOneNamespaceDoesNotSayWhatAClusterCredentialIs(t *testing.T) {
	hour := func(n int) time.Time { return metricsStart.Add(time.Duration(-n) * time.Hour) }
	t.Run("what was minted goes before it", func(t *testing.T) {
		b := newBookkeeper()
		b.holds("good", true, hour(3), "registry.example.com", "mirror.example.com")
		b.holds("bad", false, hour(1), "evil.example.com")
		b.says(t, hour(3), "registry.example.com", "mirror.example.com")
		b.holds("other", true, hour(2), "registry.example.com")
		b.says(t, hour(2), "registry.example.com")
	})
	t.Run("after a restart most records go before it", func(t *testing.T) {
		b := newBookkeeper()
		b.holds("good", false, hour(3), "registry.example.com")
		b.holds("other", false, hour(3), "registry.example.com")
		for _, forged := range []int{1, 9} {
			b.holds("bad", false, hour(forged), "evil.example.com")
			b.says(t, hour(3), "registry.example.com")
		}
	})
	t.Run("where there is no majority nothing is said", func(t *testing.T) {
		b := newBookkeeper()
		b.holds("good", false, hour(3), "registry.example.com")
		b.holds("bad", false, hour(1), "evil.example.com")
		b.says(t, hour(3))
	})
}
