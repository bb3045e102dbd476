package target

import (
	"testing"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
)

// A link that has to wait delays no token; a Secret that cannot be written does, as it would be refused again.
func TestAFailureOfTheTargetDelaysItsEntriesOnlyIfTheSecretCannotBeWritten(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	due := &EntryState{Name: "prod", Known: true, DueAt: now.Add(time.Minute), Record: pullsecret.Record{ExpiresAt: now.Add(2 * time.Minute)}}
	failure := &credential.Failure{Reason: v1alpha1.ReasonContended, RetryAfter: 5 * time.Minute}
	for name, c := range map[string]struct {
		out  Outcome
		want time.Duration
	}{
		"a link":            {Outcome{Failure: failure, Entries: []*EntryState{due}}, time.Minute},
		"a Secret":          {Outcome{Failure: failure, Entries: []*EntryState{due}, rejected: true}, 5 * time.Minute},
		"a Secret, earlier": {Outcome{Failure: failure, Entries: []*EntryState{due}, rejected: true, again: time.Second}, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.out.result(now).RequeueAfter; got != c.want {
				t.Errorf("looked at again after %s, want %s", got, c.want)
			}
		})
	}
}
