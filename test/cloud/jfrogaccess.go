package cloud

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/regcred/regcred/test/cloud/facts"
)

// The actions of JFrog Access that are emulated.
const (
	ActionJFrogExchangeToken = "jfrog:ExchangeToken"
	ActionJFrogCreateToken   = "jfrog:CreateToken"
	ActionJFrogRevokeToken   = "jfrog:RevokeToken"
)

const (
	jfrogExchangePath = "/access/api/v1/oidc/token"
	jfrogTokensPath   = "/access/api/v1/tokens"
	// jfrogDefaultExpiry is the default-expiry of Access.
	jfrogDefaultExpiry = 365 * 24 * time.Hour
)

func (j *JFrog) accessService() *service {
	return &service{
		faults: j.Access, calls: j.calls, clock: j.clock,
		throttled: failure{status: http.StatusTooManyRequests, code: "TOO_MANY_REQUESTS", message: "Too many requests"},
		down:      failure{status: http.StatusInternalServerError, code: "INTERNAL_SERVER_ERROR", message: "Internal server error"},
		action:    jfrogAction,
		answer:    j.accessAnswer,
		refuse: func(w http.ResponseWriter, _ *request, f *failure) {
			writeJFrog(w, f.status, map[string]any{"errors": []map[string]string{{"code": f.code, "message": f.message}}})
		},
	}
}

func jfrogAction(r *request) string {
	switch {
	case r.URL.Path == jfrogExchangePath && r.Method == http.MethodPost:
		return ActionJFrogExchangeToken
	case r.URL.Path == jfrogTokensPath && r.Method == http.MethodPost:
		return ActionJFrogCreateToken
	case r.URL.Path == facts.JFrogAWSPath && r.Method == http.MethodPost:
		return ActionJFrogAWSLogin
	case strings.HasPrefix(r.URL.Path, jfrogTokensPath+"/") && r.Method == http.MethodDelete:
		return ActionJFrogRevokeToken
	default:
		return "jfrog:" + r.Method
	}
}

// accessAnswer serves the platform's own host only: its other hosts are registries.
func (j *JFrog) accessAnswer(r *request) (http.HandlerFunc, *failure) {
	host, _, _ := strings.Cut(strings.ToLower(r.Host), ":")
	action := jfrogAction(r)
	switch {
	case host == j.options.Host && action == ActionJFrogExchangeToken:
		return j.exchange(r)
	case host == j.options.Host && action == ActionJFrogCreateToken:
		return j.createToken(r)
	case host == j.options.Host && action == ActionJFrogAWSLogin:
		return j.loginOfRole(r)
	case host == j.options.Host && action == ActionJFrogRevokeToken:
		return j.revokeToken(r)
	default:
		return nil, &failure{status: http.StatusNotFound, code: "NOT_FOUND", message: "no such resource"}
	}
}

// createToken is "Create Token" of JFrog's REST API reference, without the grant type refresh_token.
func (j *JFrog) createToken(r *request) (http.HandlerFunc, *failure) {
	caller, failed := j.caller(r)
	if failed != nil {
		return nil, failed
	}
	fields, failed := jfrogFields(r)
	if failed != nil {
		return nil, failed
	}
	token := JFrogToken{Username: fields["username"], Scope: fields["scope"], ProjectKey: fields["project_key"], Description: fields["description"]}
	if token.Username == "" {
		token.Username = caller.Name
	}
	if token.Scope == "" {
		token.Scope = jfrogUserScope
	}
	life := jfrogDefaultExpiry
	if text := fields["expires_in"]; text != "" {
		seconds, err := strconv.ParseInt(text, 10, 32)
		if err != nil || seconds <= 0 {
			return nil, jfrogBadRequest("expires_in is not a positive number")
		}
		life = time.Duration(seconds) * time.Second
	}
	switch err := j.checkScope(token.Username, token.Scope); {
	case !caller.Admin && (token.Username != caller.Name || token.Scope != jfrogUserScope):
		return nil, jfrogForbidden("the user may not create a token of this scope")
	case j.options.MaxExpiry > 0 && life > j.options.MaxExpiry:
		return nil, jfrogForbidden(fmt.Sprintf("expires_in is more than the limit of %d", int(j.options.MaxExpiry.Seconds())))
	case token.ProjectKey != "" && !slices.Contains(j.options.Projects, token.ProjectKey):
		return nil, jfrogBadRequest("there is no project " + token.ProjectKey)
	case err != nil:
		return nil, jfrogBadRequest(err.Error())
	}
	return j.issue(token, life, func(password string, issued JFrogToken, seconds int) map[string]any {
		return map[string]any{
			"token_id": issued.ID, "access_token": password, "expires_in": seconds, "scope": issued.Scope, "token_type": "Bearer",
		}
	}), nil
}

// issue mints a token and returns what writes the answer about it.
func (j *JFrog) issue(token JFrogToken, life time.Duration, answer func(password string, issued JFrogToken, seconds int) map[string]any) http.HandlerFunc {
	if set := time.Duration(j.tokenLife.Load()); set > 0 {
		life = set
	}
	token.ExpiresAt = j.clock.now().Add(life)
	token.stored = life >= j.options.PersistencyThreshold
	password, issued := j.tokens.mint(token)
	return func(w http.ResponseWriter, _ *http.Request) {
		writeJFrog(w, http.StatusOK, answer(password, issued, int(life.Seconds())))
	}
}

// revokeToken is "Revoke Token by ID": a token that is not known, which one below the persistency threshold never is, is no error.
func (j *JFrog) revokeToken(r *request) (http.HandlerFunc, *failure) {
	caller, failed := j.caller(r)
	if failed != nil {
		return nil, failed
	}
	token, ok := j.tokens.stored(strings.TrimPrefix(r.URL.Path, jfrogTokensPath+"/"))
	if !ok {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, nil
	}
	if !caller.Admin && token.Username != caller.Name {
		return nil, jfrogForbidden("the user may not revoke this token")
	}
	j.tokens.revoke(token.ID)
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }, nil
}

// caller is the user whose token the request carries.
func (j *JFrog) caller(r *request) (JFrogUser, *failure) {
	password, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	token, ok := j.tokens.find(password)
	if !ok || !token.live(j.clock.now()) {
		return JFrogUser{}, jfrogUnauthorized("Invalid token")
	}
	user, ok := j.user(token.Username)
	if !ok {
		return JFrogUser{}, jfrogUnauthorized("Invalid user")
	}
	// A token of groups has none of its user's own rights.
	user.Admin = user.Admin && token.Scope == jfrogUserScope
	return user, nil
}

// jfrogFields reads a form or a flat JSON object.
func jfrogFields(r *request) (map[string]string, *failure) {
	fields := map[string]string{}
	switch kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind {
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(r.body))
		if err != nil {
			return nil, jfrogBadRequest("the form does not parse")
		}
		for name := range form {
			fields[name] = form.Get(name)
		}
	case "application/json":
		var object map[string]any
		if err := json.Unmarshal(r.body, &object); err != nil {
			return nil, jfrogBadRequest("the body is no JSON object")
		}
		for name, value := range object {
			if number, ok := value.(float64); ok {
				value = strconv.FormatFloat(number, 'f', -1, 64)
			}
			fields[name] = fmt.Sprint(value)
		}
	default:
		return nil, &failure{status: http.StatusUnsupportedMediaType, code: "UNSUPPORTED_MEDIA_TYPE", message: "send a form or JSON"}
	}
	return fields, nil
}

func writeJFrog(w http.ResponseWriter, status int, answer map[string]any) {
	body, err := json.Marshal(answer)
	if err != nil {
		panic(err) // these are plain values
	}
	writeWhole(w, status, "application/json", body)
}

func jfrogBadRequest(message string) *failure {
	return &failure{status: http.StatusBadRequest, code: "BAD_REQUEST", message: message}
}

func jfrogUnauthorized(message string) *failure {
	return &failure{status: http.StatusUnauthorized, code: "UNAUTHORIZED", message: message}
}

func jfrogForbidden(message string) *failure {
	return &failure{status: http.StatusForbidden, code: "FORBIDDEN", message: message}
}
