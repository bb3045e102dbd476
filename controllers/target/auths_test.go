package target

import (
	"maps"
	"strings"
	"testing"

	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/providers"
)

func loginOf(password string) providers.Token {
	return providers.Token{Logins: []providers.Login{{Username: "x", Password: providers.Sensitive(password), Hosts: []string{"registry.example.com"}}}}
}

func TestWhatATokenLooksLikeIsWorkedOutOnce(t *testing.T) {
	r, _ := served(t)
	token := loginOf(strings.Repeat("p", 2000))
	first := r.authsOf(token)
	if got := testing.AllocsPerRun(100, func() { r.authsOf(token) }); got > 0 {
		t.Errorf("%.0f allocations for a token that was looked at, want none", got)
	}
	if want := pullsecret.AuthsOf(token); !maps.Equal(first, want) || !maps.Equal(r.authsOf(token), want) {
		t.Error("it is not what the token looks like")
	}
}

func TestTokensOfTwoTenantsAreNotMistakenForEachOther(t *testing.T) {
	r, _ := served(t)
	for range 2 * maxAuths { // of those that are forgotten, others may stand in the place in memory
		a, b := loginOf("a"), loginOf("b")
		if maps.Equal(r.authsOf(a), r.authsOf(b)) || !maps.Equal(r.authsOf(b), pullsecret.AuthsOf(b)) {
			t.Fatal("one tenant's login is taken for another's")
		}
	}
	if n := r.auths.Len(); n > maxAuths {
		t.Errorf("%d are remembered, want %d at most", n, maxAuths)
	}
}

func TestALargeConfigIsNotRemembered(t *testing.T) {
	r, _ := served(t)
	before := r.auths.Len()
	r.authsOf(loginOf(strings.Repeat("p", maxAuthsBytes)))
	if r.auths.Len() != before {
		t.Error("it is remembered, though it may be as large as a Secret")
	}
}
