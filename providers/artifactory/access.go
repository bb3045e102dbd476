package artifactory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// tokenID is the form of JFrog's token IDs. One goes into the path of a revocation, and may come from where others can write: "me", which
// names the token of the caller itself, and what leads to another path are no IDs.
var tokenID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// call is one request to JFrog Access.
type call struct {
	// action says what the call is for, in errors.
	action      string
	method, url string
	bearer      providers.Sensitive
	// headers are those of a login by signature.
	headers http.Header
	body    any
	// goneIsFine takes 404 for a success.
	goneIsFine bool
	// cures say what helps against the refusals of this call, by HTTP status.
	cures map[int]refusal
}

// answer is what JFrog says of a new token.
type answer struct {
	TokenID     string `json:"token_id"`
	AccessToken string `json:"access_token"`
	ExpiresIn   int64  `json:"expires_in"`
	Username    string `json:"username"`
}

// do makes the call, once, and decodes the answer into out. It returns the date of JFrog's clock, if the answer has it.
func (p *Provider) do(ctx context.Context, c call, out any) (time.Time, error) {
	var body io.Reader
	if c.body != nil {
		raw, err := json.Marshal(c.body)
		if err != nil {
			return time.Time{}, providers.Errorf(v1alpha1.ReasonInternal, "%s cannot be written as JSON", c.action)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, c.method, c.url, body)
	if err != nil {
		return time.Time{}, &providers.Error{Reason: v1alpha1.ReasonInvalidRequest, Terminal: true, Err: errURL}
	}
	maps.Copy(req.Header, c.headers)
	req.Header.Set("Accept", "application/json")
	if c.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+c.bearer.Reveal())
	}
	res, err := p.client.Do(req)
	if err != nil {
		return time.Time{}, c.unanswered(req.URL.Hostname(), err)
	}
	defer res.Body.Close()
	if res.StatusCode >= 200 && res.StatusCode < 300 || c.goneIsFine && res.StatusCode == http.StatusNotFound {
		date, _ := http.ParseTime(res.Header.Get("Date"))
		return date, c.decode(req.URL.Hostname(), res, out)
	}
	return time.Time{}, c.explain(res)
}

func (c call) decode(host string, res *http.Response, out any) error {
	if out == nil {
		return nil
	}
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return c.unanswered(host, err)
	}
	if !isJSON(res) || json.Unmarshal(raw, out) != nil {
		return c.invalid("with something else than JSON: check artifactory.url and any proxy in between")
	}
	return nil
}

// isForeign says whether an error is not JFrog's: what proxies, firewalls and login pages send is HTML or plain text.
func isForeign(res *http.Response) bool { return res.Header.Get("Content-Type") != "" && !isJSON(res) }

func isJSON(res *http.Response) bool {
	kind, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return err == nil && (kind == "application/json" || strings.HasSuffix(kind, "+json"))
}

func (c call) invalid(how string) *providers.Error {
	return &providers.Error{Reason: v1alpha1.ReasonInvalidResponse, Err: fmt.Errorf("%s was answered %s", c.action, how)}
}

// claims are those of JFrog's access tokens that matter here.
type claims struct{ jwt.RegisteredClaims }

// claimsOf reads a token without verifying it: it comes from the very server that would have to vouch for it. A token that is no JWT has
// no claims.
func claimsOf(token string) claims {
	var c claims
	if _, _, err := jwt.NewParser().ParseUnverified(token, &c.RegisteredClaims); err != nil {
		return claims{}
	}
	return c
}

// user is the user that the token is for: <service>/users/<name> in the subject, or the subject itself, as JFrog's own clients read it
// (https://github.com/jfrog/setup-jfrog-cli).
func (c claims) user() string {
	if _, user, ok := strings.Cut(c.Subject, "/users/"); ok {
		return user
	}
	return c.Subject
}

// isUsername says whether the text can stand before the colon of Basic authentication (RFC 7617, 2).
func isUsername(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == ':' || r == 0x7f })
}

// isPassword says whether the text can be a token in a header (RFC 6750, 2.1: visible ASCII).
func isPassword(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

var (
	errURL = errors.New("artifactory.url is not the base of a JFrog platform: set it to https:// and the platform's host, " +
		"such as https://acme.jfrog.io")
	errHost = errors.New("artifactory.hosts holds what is no registry host: set each as it stands in an image reference, " +
		"such as acme.jfrog.io or acme-docker-local.jfrog.io")
	errNotAnID      = errors.New("a token to revoke is not named by an ID of JFrog: it ends by itself when it expires")
	errNotRevocable = errors.New("a token from an exchange by OpenID Connect cannot be revoked without an administrator's token: " +
		"it ends by itself when it expires")
)
