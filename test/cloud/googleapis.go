package cloud

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The actions of the APIs that are emulated.
const (
	ActionGenerateAccessToken = "iamcredentials:GenerateAccessToken"
	ActionTestIamPermissions  = "artifactregistry:TestIamPermissions"
)

// googleDownload is what pulling an image takes (roles/artifactregistry.reader).
const googleDownload = "artifactregistry.repositories.downloadArtifacts"

const (
	maxAccessTokenLife      = time.Hour
	maxExtendedTokenLife    = 12 * time.Hour
	codePermissionDenied    = "PERMISSION_DENIED"
	codeUnauthenticated     = "UNAUTHENTICATED"
	codeInvalidArgument     = "INVALID_ARGUMENT"
	codeServiceDisabled     = codePermissionDenied + "/SERVICE_DISABLED"
	codeIAMPermissionDenied = codePermissionDenied + "/IAM_PERMISSION_DENIED"
)

func (g *Google) googleService(faults *Faults, action func(*request) string, answer func(*request) (http.HandlerFunc, *failure)) *service {
	return &service{
		faults: faults, calls: g.calls, clock: g.clock,
		throttled: failure{status: http.StatusTooManyRequests, code: "RESOURCE_EXHAUSTED", message: "Quota exceeded for quota metric."},
		down:      failure{status: http.StatusServiceUnavailable, code: "UNAVAILABLE", message: "The service is currently unavailable."},
		action:    action, answer: answer, refuse: refuseGoogle,
	}
}

// refuseGoogle answers as the OAuth 2.0 endpoints do, whose codes are in lower case, or as the APIs do. A code of theirs may have the
// reason of an ErrorInfo behind a slash.
func refuseGoogle(w http.ResponseWriter, _ *request, f *failure) {
	if strings.ToLower(f.code) == f.code {
		writeGoogleJSON(w, f.status, map[string]any{"error": f.code, "error_description": f.message})
		return
	}
	code, info, _ := strings.Cut(f.code, "/")
	status := map[string]any{"code": f.status, "message": f.message, "status": code}
	if info != "" {
		status["details"] = []any{map[string]any{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": info, "domain": "googleapis.com"}}
	}
	writeGoogleJSON(w, f.status, map[string]any{"error": status})
}

func writeGoogle(body any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { writeGoogleJSON(w, http.StatusOK, body) }
}

func writeGoogleJSON(w http.ResponseWriter, status int, body any) {
	encoded, err := json.Marshal(body)
	if err != nil {
		panic(err) // the answers are this package's own
	}
	writeWhole(w, status, "application/json; charset=UTF-8", encoded)
}

// googleCaller is whose access token a request to an API carries, of one of the scopes that the API takes.
func (g *Google) googleCaller(r *request, scopes ...string) (member string, failed *failure) {
	value, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	token, ok := g.tokens.find(value)
	if !ok || !token.live(g.clock.now()) {
		return "", &failure{status: http.StatusUnauthorized, code: codeUnauthenticated, message: "Request had invalid authentication credentials."}
	}
	if !slices.Contains(scopes, token.Scope) {
		return "", &failure{status: http.StatusForbidden, code: codePermissionDenied + "/ACCESS_TOKEN_SCOPE_INSUFFICIENT",
			message: "Request had insufficient authentication scopes."}
	}
	return token.Member, nil
}

func (g *Google) iamCredentialsService() *service {
	return g.googleService(g.IAMCredentials, func(*request) string { return ActionGenerateAccessToken }, g.generateAccessToken)
}

var generateAccessTokenPath = regexp.MustCompile(`^/v1/projects/-/serviceAccounts/([^/:]+):generateAccessToken$`)

func (g *Google) generateAccessToken(r *request) (http.HandlerFunc, *failure) {
	match := generateAccessTokenPath.FindStringSubmatch(r.URL.Path)
	if r.Method != http.MethodPost || match == nil {
		return nil, &failure{status: http.StatusNotFound, code: "NOT_FOUND", message: "Requested entity was not found."}
	}
	caller, failed := g.googleCaller(r, googleScope)
	if failed != nil {
		return nil, failed
	}
	var input struct {
		Scope    []string `json:"scope"`
		Lifetime string   `json:"lifetime"`
	}
	life := maxAccessTokenLife
	err := json.Unmarshal(r.body, &input)
	if err == nil && input.Lifetime != "" {
		life, err = time.ParseDuration(input.Lifetime)
	}
	if err != nil || life <= 0 || googleScopeOf(input.Scope) == "" {
		return nil, &failure{status: http.StatusBadRequest, code: codeInvalidArgument, message: "Request contains an invalid argument."}
	}
	account, ok := g.iam.account(match[1])
	switch {
	case !ok || !slices.Contains(account.Impersonators, caller):
		return nil, &failure{
			status: http.StatusForbidden, code: codeIAMPermissionDenied,
			message: "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).",
		}
	case account.Disabled:
		return nil, &failure{status: http.StatusBadRequest, code: "FAILED_PRECONDITION", message: "Service account is disabled."}
	case life > maxExtendedTokenLife || life > maxAccessTokenLife && !account.ExtendedLifetime:
		return nil, &failure{status: http.StatusBadRequest, code: codeInvalidArgument, message: "The access token lifetime cannot exceed 3600 seconds."}
	}
	token, issued := g.tokens.mint(GoogleMember(account.Email), googleScopeOf(input.Scope), g.clock.now().Truncate(time.Second), g.life(life))
	return writeGoogle(map[string]any{"accessToken": token, "expireTime": issued.ExpiresAt.UTC().Format(time.RFC3339)}), nil
}

func (g *Google) artifactRegistryService() *service {
	return g.googleService(g.ArtifactRegistry, func(*request) string { return ActionTestIamPermissions }, g.testIamPermissions)
}

var testIamPermissionsPath = regexp.MustCompile(`^/v1/(projects/[^/]+/locations/[^/]+/repositories/[^/:]+):testIamPermissions$`)

// testIamPermissions gives those of the permissions asked about that the caller has. A repository that does not exist gives none.
func (g *Google) testIamPermissions(r *request) (http.HandlerFunc, *failure) {
	match := testIamPermissionsPath.FindStringSubmatch(r.URL.Path)
	if r.Method != http.MethodPost || match == nil {
		return nil, &failure{status: http.StatusNotFound, code: "NOT_FOUND", message: "Requested entity was not found."}
	}
	caller, failed := g.googleCaller(r, googleScope, googleReadOnly)
	if failed != nil {
		return nil, failed
	}
	if g.iam.disabled() {
		return nil, &failure{status: http.StatusForbidden, code: codeServiceDisabled,
			message: fmt.Sprintf("Artifact Registry API has not been used in project %s before or it is disabled.", GoogleProject)}
	}
	var input struct {
		Permissions []string `json:"permissions"`
	}
	if json.Unmarshal(r.body, &input) != nil || len(input.Permissions) == 0 {
		return nil, &failure{status: http.StatusBadRequest, code: codeInvalidArgument, message: "Request contains an invalid argument."}
	}
	granted := map[string][]string{}
	if slices.Contains(input.Permissions, googleDownload) && g.iam.mayPull(caller, match[1]) {
		granted["permissions"] = []string{googleDownload}
	}
	return writeGoogle(granted), nil
}
