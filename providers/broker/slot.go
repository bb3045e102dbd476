package broker

import (
	"container/list"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/internal/dockerkey"
	"github.com/regcred/regcred/providers"
)

// maxFloor is the least time between two successful mints of one source, and between two calls for refresh requests, or an eighth of the token's
// life if that is shorter, but never less than minFloor. A refresh request does not wait for the floor of a mint that was made for another
// reason.
var maxFloor = time.Minute

const (
	minFloor = 10 * time.Second
	// minLife is the shortest life of a token that can be replaced before it ends, in spite of that floor.
	minLife = 2 * minFloor
)

// slot is what the Broker knows of one source: there is one, however many ask and for whatever reason.
type slot struct {
	source string
	// tenant is who had the token minted, and so in whose share of the memory it is: nobody's while a credential of the cluster names it.
	tenant string
	// owners name the source; askedAt is when somebody asked last.
	owners  owners
	askedAt time.Time
	// dropped is whether the slot goes when its call has ended, as no credential names it any more.
	dropped bool

	// token is the one that was minted last. It has no logins while its bytes are not in memory.
	token providers.Token
	// began is when its mint began: it answers the refresh requests that were seen before.
	began time.Time
	// prints are of the token's logins, so that they are known again, and shown are of each login at each host that it
	// was minted for. Who serves a host under a glob is not known.
	prints, shown []fingerprint
	// refusedIssuedAt is the issue time of the token that a registry has refused: neither it nor one from before is good.
	refusedIssuedAt time.Time
	refreshes       stamps
	// size and inBudget are for the budget.
	size     int
	inBudget *list.Element

	// call is the one under way, since when, and who waits for its end. made is since when the last one that was made was.
	call        *call
	since, made time.Time
	waiting     waiters

	failure  *providers.Error
	failures int
	retryAt  time.Time
	// floor is when another token may be minted, and hurryAt when a refresh request need not wait for that, nor for the patience that a failure
	// asks for, as hurried had one answered.
	floor, hurryAt time.Time
	hurried        string
}

// fingerprint is a login's hash.
type fingerprint [sha256.Size]byte

func printOf(l providers.Login) fingerprint {
	return sha256.Sum256(fmt.Appendf(nil, "%d %s%s", len(l.Username), l.Username, l.Password.Reveal()))
}

// printAt is the hash of a login that is shown to the registry at a host.
func printAt(l providers.Login, host string) fingerprint {
	login := printOf(l)
	return sha256.Sum256(append(login[:], host...))
}

func printsOf(t providers.Token) (prints, shown []fingerprint) {
	for _, l := range t.Logins {
		prints = append(prints, printOf(l))
		for _, place := range l.Hosts {
			if host := registryOf(place); !strings.ContainsAny(host, "*?[") {
				shown = append(shown, printAt(l, host))
			}
		}
	}
	return prints, shown
}

// registryOf is the host, in an image reference, of the registry at a place: a key of a docker config, which may have a scheme and a path.
func registryOf(place string) string {
	if _, bare, ok := strings.Cut(place, "://"); ok {
		place = bare
	}
	host, _, _ := strings.Cut(place, "/")
	return dockerkey.Canonical(host)
}

// present says whether there is a token to hand out.
func (s *slot) present(now time.Time) bool {
	return len(s.token.Logins) > 0 && s.token.ExpiresAt.After(now) && !s.refused()
}

// refused says whether a registry has refused the token that was minted last.
func (s *slot) refused() bool {
	return !s.refusedIssuedAt.IsZero() && !s.token.IssuedAt.After(s.refusedIssuedAt)
}

// serves says whether the token is what is asked for: newer than the one that the asker has, and minted after its refresh request.
func (s *slot) serves(refresh stamp, newerThan, now time.Time) bool {
	if newerThan.After(now) {
		// Nothing was minted in times to come: whoever says so knows nothing.
		newerThan = time.Time{}
	}
	return s.present(now) && s.token.IssuedAt.After(newerThan) && !s.began.Before(s.refreshes.seen(refresh))
}

// begin notes a call. The next refresh request has to wait for its turn if this call is for one, too.
func (s *slot) begin(c *call, refresh stamp, now time.Time) {
	if s.unanswered(refresh) {
		s.hurryAt, s.hurried = now.Add(floorOf(s.life())), refresh.tenant
	}
	s.call, s.since = c, now
}

// unanswered says whether no call has begun since the refresh request was first seen.
func (s *slot) unanswered(refresh stamp) bool { return s.since.Before(s.refreshes.seen(refresh)) }

// due is when the next call may be made that could be at the time, or sooner for a refresh request: somebody waits, and may have mended what the
// last one failed of. The patience that a cloud has asked for is kept all the same. The cluster's own request does not wait for those of tenants.
func (s *slot) due(at time.Time, refresh stamp) time.Time {
	asked := s.failure != nil && s.failure.RetryAfter > 0
	hurryAt := s.hurryAt
	if refresh.tenant == "" && s.hurried != "" {
		hurryAt = time.Time{}
	}
	if s.unanswered(refresh) && !asked && hurryAt.Before(at) {
		return hurryAt
	}
	return at
}

// life is how long the last token was to live; 0 if there is none yet.
func (s *slot) life() time.Duration {
	if s.token.IssuedAt.IsZero() {
		return 0
	}
	return s.token.ExpiresAt.Sub(s.token.IssuedAt)
}

// early is how long no other token may be minted. What can be read again at no cost may be.
func (s *slot) early(refresh stamp, now time.Time) time.Duration {
	if s.token.Copied && len(s.token.Logins) == 0 {
		return 0
	}
	return s.due(s.floor, refresh).Sub(now)
}

// refuse condemns the token if the login is of it and for the host, and says whether that is news.
func (s *slot) refuse(req providers.Request, login providers.Login, host string, now time.Time) bool {
	if s.refused() || !s.token.ExpiresAt.After(now) || !slices.Contains(s.shown, printAt(login, host)) {
		return false
	}
	s.refusedIssuedAt = s.token.IssuedAt
	if s.token.Copied {
		s.failure = mend(req)
		s.retryAt = now.Add(terminalRetry)
	}
	return true
}

// mend is why a login that was only read is of no use until somebody else replaces it. The source changes when they do.
func mend(req providers.Request) *providers.Error {
	return providers.Errorf(v1alpha1.ReasonTokenRefused, "the registry refuses the login: %s", cureOf(req))
}

func cureOf(req providers.Request) string {
	if req.Identity.Secret == nil {
		return "replace it where it is kept"
	}
	return "replace it in " + req.Identity.Secret.String()
}
