package broker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

func TestARefusedTokenIsMintedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 12 * time.Hour}
		b := newBroker(t, p)
		req := request("eu-west-1")
		first := must(t, b, req, time.Time{})
		if !b.RefusedIssuedAt(req).IsZero() {
			t.Error("refused before anybody said so")
		}
		if !b.Refuse(req, first.Logins[0], "registry.example") {
			t.Fatal("the refusal does not count")
		}
		if _, ok := b.InMemory(req); ok || !b.RefusedIssuedAt(req).Equal(first.IssuedAt) {
			t.Error("the refused token is still handed out")
		}
		if b.Refuse(req, first.Logins[0], "registry.example") {
			t.Error("the same refusal is news twice")
		}
		_, err := ask(b, req, time.Time{})
		pass(early(t, err))
		second := must(t, b, req, first.IssuedAt)
		if second.Logins[0].Password == first.Logins[0].Password || !second.IssuedAt.After(b.RefusedIssuedAt(req)) {
			t.Error("the refused token came back")
		}
		if b.Refuse(req, first.Logins[0], "registry.example") {
			t.Error("the refusal of a token that is replaced condemns its successor")
		}
		if again := must(t, b, req, first.IssuedAt); again.Logins[0].Password != second.Logins[0].Password {
			t.Error("the new token is not held")
		}
	})
}

// The verdict on what others wrote into a Secret concerns that Secret.
func TestARefusalOfAnotherLoginChangesNothingForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 12 * time.Hour}
		b := newBroker(t, p)
		req := request("eu-west-1")
		if b.Refuse(req, providers.Login{Username: "AWS", Password: "after a restart"}, "registry.example") {
			t.Error("a login counts that this process never saw")
		}
		first := must(t, b, req, time.Time{})
		for name, login := range map[string]providers.Login{
			"another password": {Username: "AWS", Password: "planted"},
			"another user":     {Username: "planted", Password: first.Logins[0].Password},
			"no login":         {},
		} {
			if b.Refuse(req, login, "registry.example") {
				t.Errorf("%s condemns the token of all", name)
			}
		}
		for range 120 {
			b.Refuse(req, providers.Login{Username: "AWS", Password: "planted"}, "registry.example")
			pass(time.Second)
			if again := must(t, b, req, time.Time{}); again.Logins[0].Password != first.Logins[0].Password {
				t.Fatal("the neighbours' token is another")
			}
		}
		if p.calls.Load() != 1 {
			t.Errorf("%d calls", p.calls.Load())
		}
	})
}

// Whoever can edit a Secret shows the genuine login to a registry of its own, and so does whoever has a name under a glob.
func TestARefusalAtAHostThatTheTokenIsNotForChangesNothingForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 12 * time.Hour, change: func(token *providers.Token) {
			token.Logins[0].Hosts = []string{"registry.example", "registry.example:5000/team", "*.apps.example", "https://index.docker.io/v1/"}
			token.Logins = append(token.Logins, providers.Login{Username: "b", Password: "b", Hosts: []string{"other.example"}})
		}}
		b := newBroker(t, p)
		req := request("eu-west-1")
		first := must(t, b, req, time.Time{})
		for start := time.Now(); time.Since(start) < time.Hour; pass(10 * time.Second) {
			for _, host := range []string{"evil.example", "evil.apps.example", "*.apps.example", "registry.example.evil", "registry.example:443", "other.example", ""} {
				if b.Refuse(req, first.Logins[0], host) {
					t.Fatalf("a refusal at %q condemns the token of all", host)
				}
			}
			must(t, b, req, time.Time{})
		}
		if p.calls.Load() != 1 || b.Mend(req) != "" {
			t.Errorf("%d calls in an hour, to mend: %q", p.calls.Load(), b.Mend(req))
		}
		for _, host := range []string{"registry.example:5000", "docker.io", "registry.example"} {
			token := must(t, b, req, b.RefusedIssuedAt(req))
			if !b.Refuse(req, token.Logins[0], host) {
				t.Errorf("the refusal at %s, which the token is for, does not count", host)
			}
			pass(time.Minute)
		}
	})
}

func TestARefusedPasswordIsAwaitedFromWhoKeepsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{change: func(token *providers.Token) {
			token.Copied, token.ExpiresAt, token.Logins[0].Password = true, providers.Never, "pat"
		}}
		b := newBroker(t, p)
		req := request("hub")
		req.Identity.Secret = &providers.Secret{Namespace: "regcred-system", Name: "hub-pat", DataHash: "1"}
		b.SetSources(ownerIn("hub"), []string{req.Source()})
		token := must(t, b, req, time.Time{})
		if !b.Refuse(req, token.Logins[0], "registry.example") {
			t.Fatal("the refusal does not count")
		}
		for start := time.Now(); time.Since(start) < 50*time.Minute; pass(10 * time.Second) {
			_, err := ask(b, req, token.IssuedAt)
			if b.Mend(req) != "replace it in Secret regcred-system/hub-pat" {
				t.Fatalf("to mend: %q", b.Mend(req))
			}
			if f := failure(t, err, v1alpha1.ReasonTokenRefused); f.Terminal || !quotes(err, "replace it in Secret regcred-system/hub-pat") {
				t.Fatal(err)
			}
		}
		if _, ok := b.InMemory(req); ok || p.calls.Load() != 1 {
			t.Errorf("%d reads; held: %t", p.calls.Load(), ok)
		}
		// An hour later it is looked at again, and is still the same; the other registry of another tenant never noticed.
		pass(time.Hour)
		_, err := ask(b, req, token.IssuedAt)
		if f := failure(t, err, v1alpha1.ReasonTokenRefused); p.calls.Load() != 2 || f.RetryAfter != time.Hour || !quotes(err, "hub-pat") {
			t.Errorf("%d reads after an hour, then %v in %s", p.calls.Load(), err, f.RetryAfter)
		}
		// Who keeps it replaces it.
		mended := req
		mended.Identity.Secret = &providers.Secret{Namespace: "regcred-system", Name: "hub-pat", DataHash: "2"}
		if must(t, b, mended, time.Time{}); b.Mend(mended) != "" {
			t.Error("what was replaced is still to be mended")
		}
	})
}

func TestARefusedTokenThatTheCloudRepeatsStaysRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 12 * time.Hour, change: func(token *providers.Token) { token.Logins[0].Password = "same" }}
		b := newBroker(t, p)
		req := request("eu-west-1")
		token := must(t, b, req, time.Time{})
		b.Refuse(req, token.Logins[0], "registry.example")
		pass(time.Minute)
		_, err := ask(b, req, token.IssuedAt)
		_ = failure(t, err, v1alpha1.ReasonTokenRefused)
		if _, ok := b.InMemory(req); ok {
			t.Error("the refused token is handed out")
		}
		p.change = nil
		pass(2 * time.Minute)
		must(t, b, req, token.IssuedAt)
	})
}
