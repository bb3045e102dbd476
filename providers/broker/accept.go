package broker

import (
	"slices"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// accept takes a minted token. Its predecessor is replaced, whatever the two say of their ends: the newer mint is what the cloud wants us to
// use. It returns the name of a token that is no longer handed out.
func (s *slot) accept(req providers.Request, token providers.Token, began, now time.Time) (retired providers.TokenName, err error) {
	if !usable(token, now) {
		return providers.NewTokenName(s.source, token.ID), providers.Errorf(v1alpha1.ReasonInvalidResponse, "the cloud's answer holds no usable token: "+
			"check the clock of the controller's node and any proxy in between")
	}
	// Whole seconds, as they are written down: a token must not seem newer than its own record.
	token.IssuedAt, token.ExpiresAt = now.Truncate(time.Second), token.ExpiresAt.Truncate(time.Second)
	prints, shown := printsOf(token)
	again := slices.Equal(prints, s.prints) && s.token.ExpiresAt.After(now)
	life := token.ExpiresAt.Sub(now)
	if !again && !token.Copied && life < minLife {
		return providers.NewTokenName(s.source, token.ID), tooShort(life)
	}
	s.floor = now.Add(floorOf(life))
	if again {
		s.shown = shown
		return "", s.repeat(req, token, began)
	}
	if s.token.ID != token.ID {
		retired = providers.NewTokenName(s.source, s.token.ID)
	}
	s.token, s.prints, s.shown, s.began = token, prints, shown, began
	s.failure, s.failures = nil, 0
	return retired, nil
}

// tooShort is why a token is not published: it would have ended in the Secrets, in turn, before the next is there.
func tooShort(life time.Duration) *providers.Error {
	return providers.Errorf(v1alpha1.ReasonInvalidResponse, "the token lives for %s, and is of use from %s on: have the platform give its tokens a longer life",
		life.Truncate(time.Second), minLife)
}

// repeat takes the token that is known already. It is as old as it was.
func (s *slot) repeat(req providers.Request, token providers.Token, began time.Time) error {
	lost := len(s.token.Logins) == 0
	token.IssuedAt = s.token.IssuedAt
	s.token = token
	switch {
	case s.refused():
		s.token.Logins = nil
		if token.Copied {
			return mend(req)
		}
		return providers.Errorf(v1alpha1.ReasonTokenRefused, "the registry refuses the token, and the cloud still hands out the same")
	case token.Copied:
		s.began = began
	case !lost:
		return providers.Errorf(v1alpha1.ReasonNotRenewed, "the cloud still hands out the token that is in use")
	}
	s.failure, s.failures = nil, 0
	return nil
}

// usable says whether the token is one at all.
func usable(t providers.Token, now time.Time) bool {
	for _, l := range t.Logins {
		if l.Password == "" || len(l.Hosts) == 0 {
			return false
		}
	}
	return len(t.Logins) > 0 && t.ExpiresAt.After(now)
}

// floorOf is the floor for a token of that life; 0 is no token.
func floorOf(life time.Duration) time.Duration {
	if life == 0 {
		return maxFloor
	}
	return min(maxFloor, max(minFloor, life/8))
}
