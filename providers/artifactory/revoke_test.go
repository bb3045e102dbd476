package artifactory_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/test/cloud"
)

func TestARevokedTokenIsDeadAndTheNewOneAlive(t *testing.T) {
	jfrog := startJFrog(t, cloud.JFrogOptions{})
	admin, _ := jfrog.CreateToken("admin", time.Hour)
	req := request(v1alpha1.Artifactory{URL: jfrog.URL(), Username: "puller"}, secret(&admin))
	older, newer := tokenOf(t, jfrog, req), tokenOf(t, jfrog, req)

	p := newProvider(t, jfrog.Transport())
	for range 2 { // what is revoked already is no error
		if err := p.Revoke(t.Context(), req, older.ID); err != nil {
			t.Fatal(err)
		}
		if jfrog.IsLive(older.Logins[0].Password.Reveal()) || !jfrog.IsLive(newer.Logins[0].Password.Reveal()) {
			t.Error("after the revocation, want the newer token alive and the older dead")
		}
	}
}

// A token below the persistency threshold is unknown to the platform that has issued it.
func TestAShortTokenOutlivesItsRevocation(t *testing.T) {
	jfrog := startJFrog(t, cloud.JFrogOptions{})
	admin, _ := jfrog.CreateToken("admin", time.Hour)
	req := request(v1alpha1.Artifactory{URL: jfrog.URL(), Username: "puller", TokenLifetime: "1h"}, secret(&admin))
	token := tokenOf(t, jfrog, req)
	if err := newProvider(t, jfrog.Transport()).Revoke(t.Context(), req, token.ID); err != nil {
		t.Error(err)
	}
	if !jfrog.IsLive(token.Logins[0].Password.Reveal()) {
		t.Error("the platform has revoked a token that it does not remember")
	}
}

func TestATokenThatIsNotFoundIsRevoked(t *testing.T) {
	jfrog := startJFrog(t, cloud.JFrogOptions{})
	admin, _ := jfrog.CreateToken("admin", time.Hour)
	jfrog.PutInFront(answer(http.StatusNotFound, "application/json", `{"errors":[{"code":"NOT_FOUND"}]}`))
	req := request(v1alpha1.Artifactory{URL: jfrog.URL()}, secret(&admin))
	if err := newProvider(t, jfrog.Transport()).Revoke(t.Context(), req, someID); err != nil {
		t.Error(err)
	}
}

const someID = "11111111-2222-3333-4444-555555555555"

func TestRefusedRevocationsAreExplained(t *testing.T) {
	for name, c := range map[string]struct {
		status   int
		identity string
		terminal bool
		reason   string
		says     string
	}{
		"by another instance": {http.StatusBadRequest, "Secret", true, v1alpha1.ReasonInvalidRequest, "it ends by itself when it expires"},
		"with a dead token":   {http.StatusUnauthorized, "Secret", false, v1alpha1.ReasonAccessDenied, "replace the key token of Secret team-a/jfrog"},
		"of another's token":  {http.StatusForbidden, "Secret", false, v1alpha1.ReasonAccessDenied, "the same user or of an administrator"},
		"down":                {http.StatusBadGateway, "Secret", false, v1alpha1.ReasonUnavailable, "HTTP status 502"},
		"of an exchange":      {http.StatusOK, "ServiceAccount", true, v1alpha1.ReasonInvalidRequest, "cannot be revoked"},
		"empty Secret":        {http.StatusOK, "empty Secret", false, v1alpha1.ReasonIdentityInvalid, "lacks the key token"},
	} {
		t.Run(name, func(t *testing.T) {
			jfrog := startJFrog(t, cloud.JFrogOptions{})
			jfrog.PutInFront(answer(c.status, "application/json", `{"errors":[{"message":"`+cloud.CanaryJFrog+`"}]}`))
			admin, _ := jfrog.CreateToken("admin", time.Hour)
			id := map[string]providers.Identity{
				"Secret": secret(&admin), "ServiceAccount": serviceAccount(t, nil), "empty Secret": secret(nil),
			}[c.identity]
			err := newProvider(t, jfrog.Transport()).Revoke(t.Context(), request(v1alpha1.Artifactory{URL: jfrog.URL()}, id), someID)
			wantError(t, err, c.reason, c.says)
			if known, ok := errors.AsType[*providers.Error](err); ok && known.Terminal != c.terminal {
				t.Errorf("terminal: %t", known.Terminal)
			}
		})
	}
}

// The ID may come from where others can write, and the token that revokes may end any other, and itself.
func TestOnlyIDsAreRevoked(t *testing.T) {
	jfrog := startJFrog(t, cloud.JFrogOptions{})
	admin, token := jfrog.CreateToken("admin", 24*time.Hour)
	p := newProvider(t, jfrog.Transport())
	for _, id := range []string{
		"", "me", "revoke", ".", "..", "../users/admin", token.ID + "/..", token.ID + "?x", " " + token.ID, token.ID + "\n", "*", token.ID[1:],
	} {
		err := p.Revoke(t.Context(), request(v1alpha1.Artifactory{URL: jfrog.URL()}, secret(&admin)), id)
		wantError(t, err, v1alpha1.ReasonInvalidRequest, "not named by an ID")
	}
	if got := len(jfrog.Calls()); got != 0 {
		t.Errorf("%d kinds of calls were made", got)
	}
}
