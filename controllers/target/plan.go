package target

import (
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/view"
)

// task is what is to be done about a target.
type task int

const (
	// taskForget: there is nothing to do it to.
	taskForget task = iota
	// taskRelease: its Secret is not wanted, or not by this name.
	taskRelease
	// taskGiveUp is to release it, and to tell who asked for it.
	taskGiveUp
	// taskServe: its Secret is wanted.
	taskServe
)

// taskFor decides what is to be done about a target. Of the credential and the namespace, nil is what is no more.
func taskFor(t credential.Target, c *credential.Credential, ns client.Object, excluded view.Excluded) task {
	switch {
	case ns == nil:
		return taskForget
	case c != nil && t.Name != c.SecretName():
		return taskRelease
	case c != nil && c.Spec.Suspend && !c.Selects(ns):
		return taskForget // a suspended credential takes nothing away
	case c == nil || !c.Selects(ns) || excluded.Has(t.Namespace):
		return taskGiveUp
	}
	return taskServe
}

// step is what is to be done about a Secret that is served.
type step int

const (
	// stepLeave: it is as it should be, or nothing better is to be had.
	stepLeave step = iota
	// stepWait: tokens are under way, and it is to be written once.
	stepWait
	// stepPublish: it is to be written.
	stepPublish
)

// pendingGrace is how long a Secret waits for all of its entries, so that it is written once. A cloud that takes longer is left behind: the
// others are published without it.
const pendingGrace = 2 * time.Second

// plan decides what is to be done about a Secret, and why, from why it is stale itself and from what was obtained for its entries.
func plan(stale Cause, entries []*EntryState, now time.Time) (step, Cause) {
	lapsed := slices.ContainsFunc(entries, func(e *EntryState) bool { return e.lapsed(now) })
	switch {
	case stale == "" && !lapsed && !anyFresh(entries):
		return stepLeave, ""
	case waiting(entries, now):
		return stepWait, stale
	case stale == "" && lapsed:
		return stepPublish, CauseLapsed
	}
	return stepPublish, stale
}

func anyFresh(entries []*EntryState) bool {
	return slices.ContainsFunc(entries, func(e *EntryState) bool { return e.Fresh })
}

// waiting says whether all entries that are still pending deserve to be waited for.
func waiting(entries []*EntryState, now time.Time) bool {
	waiting := false
	for _, e := range entries {
		if !e.Pending() {
			continue
		}
		if now.Sub(e.pendingSince) >= pendingGrace {
			return false
		}
		waiting = true
	}
	return waiting
}
