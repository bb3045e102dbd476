package history

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/lab"
)

// jump is how far apart the clock of the clouds and the machine's may move without one of them having jumped.
const jump = time.Second

// holding is a token in a Secret of ours, from when on, and until when.
type holding struct {
	Version
	until time.Time // by the clock of the clouds; zero if it is still there
}

// inTime is whether the token was replaced, or gone, before it expired.
func (h holding) inTime(expires time.Time) bool { return !h.until.IsZero() && h.until.Before(expires) }

// unblamed: a pull is refused for the age of a token that we keep only if there is an outage to blame: of the cloud, or of all replicas.
func (h History) unblamed() (broken []string) {
	held := h.held()
	told := map[types.UID]bool{}
	for _, r := range h.Refused {
		for uid, at := range held[r.Token] {
			if r.Revoked || told[uid] || h.blamed(r, at) {
				continue
			}
			told[uid] = true
			broken = append(broken, fmt.Sprintf("%s still held a token for %s that had expired at %s, a pull was refused, and there was no outage",
				name(at.Secret), r.Host, r.ExpiresAt))
		}
	}
	return broken
}

// blamed is whether it is not for the controller that a pull was refused.
func (h History) blamed(r cloud.Refusal, at holding) bool {
	switch {
	case at.inTime(r.ExpiresAt):
		return true
	case r.At.Sub(at.Seen)-r.Real.Sub(at.Written) > jump:
		return true // the clock has jumped
	}
	return slices.ContainsFunc(h.Calls, func(c cloud.Call) bool {
		return c.Code != "" && c.Began.Before(r.Real) && c.Ended.After(at.Written)
	}) || slices.ContainsFunc(h.Absent, func(s lab.Span) bool { return s.Overlaps(at.Written, r.Real) })
}

// overtaken counts the pulls that were refused from then on because the node took longer from reading a Secret to the registry than its token
// had to live: it was replaced in time wherever it was.
func (h History) overtaken(since time.Time) (n int) {
	held := h.held()
	for _, r := range h.Refused {
		if r.Revoked || r.Real.Before(since) || len(held[r.Token]) == 0 {
			continue
		}
		slow := true
		for _, at := range held[r.Token] {
			slow = slow && at.inTime(r.ExpiresAt)
		}
		if slow {
			n++
		}
	}
	return n
}

// held says of each token in which Secrets of ours it was.
func (h History) held() map[cloud.Token]map[types.UID]holding {
	held := map[cloud.Token]map[types.UID]holding{}
	last := map[types.UID][]cloud.Token{}
	for _, v := range h.Secrets {
		uid := v.Secret.UID
		now := h.kept(v)
		for _, t := range last[uid] {
			if at := held[t][uid]; !slices.Contains(now, t) {
				at.until = v.Seen
				held[t][uid] = at
			}
		}
		for _, t := range now {
			if held[t] == nil {
				held[t] = map[types.UID]holding{}
			}
			if !slices.Contains(last[uid], t) {
				held[t][uid] = holding{Version: v}
			}
		}
		last[uid] = now
	}
	return held
}

// kept are the tokens that the controller keeps in a version of a Secret.
func (h History) kept(v Version) (tokens []cloud.Token) {
	if v.Deleted || !ours(v.Secret) {
		return nil
	}
	for _, l := range h.logins(v.Secret) {
		l.token.Revoked = false // not yet, perhaps
		tokens = append(tokens, l.token)
	}
	return tokens
}
