package cloud

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The actions of the STS API that are emulated.
const (
	ActionAssumeRole                = "sts:AssumeRole"
	ActionAssumeRoleWithWebIdentity = "sts:AssumeRoleWithWebIdentity"
	ActionGetCallerIdentity         = "sts:GetCallerIdentity"
)

const (
	stsVersion             = "2011-06-15"
	defaultSessionDuration = time.Hour
	minSessionDuration     = 15 * time.Minute
	maxSessionDuration     = 12 * time.Hour
	// A role assumed with the credentials of another role's session: IAM user guide, "Role chaining".
	maxChainedDuration = time.Hour
)

var stsAuthErrors = authErrors{
	status:     http.StatusForbidden,
	missing:    "MissingAuthenticationToken",
	incomplete: "IncompleteSignature",
	unknown:    "InvalidClientTokenId",
	invalid:    "SignatureDoesNotMatch",
	expired:    "ExpiredToken",
}

var roleSessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

func (a *AWS) stsService() *service {
	return &service{
		faults:    a.STS,
		calls:     a.calls,
		clock:     a.clock,
		throttled: failure{status: http.StatusBadRequest, code: "Throttling", message: "Rate exceeded"},
		down: failure{
			status: http.StatusInternalServerError, code: "InternalFailure",
			message: "The request processing has failed because of an unknown error, exception or failure.",
		},
		action: func(r *request) string { return "sts:" + stsForm(r).Get("Action") },
		answer: a.stsAnswer,
		refuse: refuseXML,
	}
}

// stsForm ignores what does not parse: a form without an Action is refused as such.
func stsForm(r *request) url.Values {
	form, _ := url.ParseQuery(string(r.body))
	return form
}

func (a *AWS) stsAnswer(r *request) (http.HandlerFunc, *failure) {
	form := stsForm(r)
	action := form.Get("Action")
	if form.Get("Version") != stsVersion {
		return nil, &failure{
			status: http.StatusBadRequest, code: "InvalidAction",
			message: fmt.Sprintf("Could not find operation %s for version %s", action, form.Get("Version")),
		}
	}
	var result any
	var failed *failure
	switch "sts:" + action {
	case ActionAssumeRoleWithWebIdentity:
		result, failed = a.assumeRoleWithWebIdentity(form)
	case ActionAssumeRole:
		result, failed = a.assumeRole(r, form)
	case ActionGetCallerIdentity:
		result, failed = a.getCallerIdentity(r)
	default:
		failed = &failure{
			status: http.StatusBadRequest, code: "InvalidAction",
			message: fmt.Sprintf("Could not find operation %s for version %s", action, stsVersion),
		}
	}
	if failed != nil {
		return nil, failed
	}
	return func(w http.ResponseWriter, _ *http.Request) { writeXML(w, http.StatusOK, result) }, nil
}

func (a *AWS) getCallerIdentity(r *request) (any, *failure) {
	who, _, failed := a.authenticate(r, "sts", stsAuthErrors)
	if failed != nil {
		return nil, failed
	}
	out := getCallerIdentityResponse{RequestID: newRequestID()}
	out.Result.ARN, out.Result.UserID, out.Result.Account = who.arn, who.userID, who.account
	return out, nil
}

func (a *AWS) assumeRole(r *request, form url.Values) (any, *failure) {
	who, _, failed := a.authenticate(r, "sts", stsAuthErrors)
	if failed != nil {
		return nil, failed
	}
	life, failed := sessionParameters(form)
	if failed != nil {
		return nil, failed
	}
	if who.session && life > maxChainedDuration {
		return nil, invalidParameter("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	}
	role, ok := a.iam.role(form.Get("RoleArn"))
	if !ok || !role.trusts(who) || role.ExternalID != "" && form.Get("ExternalId") != role.ExternalID {
		return nil, &failure{
			status: http.StatusForbidden, code: "AccessDenied",
			message: fmt.Sprintf("User: %s is not authorized to perform: sts:AssumeRole on resource: %s", who.arn, form.Get("RoleArn")),
		}
	}
	out := assumeRoleResponse{RequestID: newRequestID()}
	out.Result.AssumedRoleUser, out.Result.Credentials = a.newSession(role, form.Get("RoleSessionName"), life)
	return out, nil
}

func (a *AWS) assumeRoleWithWebIdentity(form url.Values) (any, *failure) {
	life, failed := sessionParameters(form)
	if failed != nil {
		return nil, failed
	}
	claims := jwt.RegisteredClaims{}
	switch err := a.internet.parseIdentityToken(form.Get("WebIdentityToken"), &claims); {
	case errors.Is(err, jwt.ErrTokenMalformed):
		return nil, invalidIdentityToken("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	case err != nil:
		return nil, invalidIdentityToken("Couldn't retrieve verification key from your identity provider, " +
			"please reference AssumeRoleWithWebIdentity documentation for requirements")
	}
	role, ok := a.iam.role(form.Get("RoleArn"))
	if !ok || role.WebIdentity == nil {
		return nil, deniedWebIdentity()
	}
	if failed := a.checkClaims(claims, *role.WebIdentity); failed != nil {
		return nil, failed
	}
	out := assumeRoleWithWebIdentityResponse{RequestID: newRequestID()}
	out.Result.Subject, out.Result.Provider = claims.Subject, claims.Issuer
	out.Result.Audience = role.WebIdentity.Audience
	out.Result.AssumedRoleUser, out.Result.Credentials = a.newSession(role, form.Get("RoleSessionName"), life)
	return out, nil
}

func (a *AWS) checkClaims(claims jwt.RegisteredClaims, trust WebIdentity) *failure {
	now := a.clock.wall()
	switch {
	case trust.Issuer != "" && claims.Issuer != trust.Issuer:
		return invalidIdentityToken("No OpenIDConnect provider found in your account for " + claims.Issuer)
	case claims.ExpiresAt == nil:
		return invalidIdentityToken("Missing a required claim: exp")
	case !now.Before(claims.ExpiresAt.Time):
		return &failure{
			status: http.StatusBadRequest, code: "ExpiredTokenException",
			message: fmt.Sprintf("Token expired: current date/time %d must be before the expiration date/time %d",
				now.Unix(), claims.ExpiresAt.Unix()),
		}
	case trust.Audience != "" && !slices.Contains(claims.Audience, trust.Audience):
		return invalidIdentityToken("Incorrect token audience")
	case trust.Subject != "" && claims.Subject != trust.Subject:
		return deniedWebIdentity()
	}
	return nil
}

// sessionParameters checks the session's name and returns its duration.
func sessionParameters(form url.Values) (time.Duration, *failure) {
	if name := form.Get("RoleSessionName"); !roleSessionName.MatchString(name) {
		return 0, invalidParameter(fmt.Sprintf("1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint: "+
			`Member must satisfy regular expression pattern: [\w+=,.@-]*, and have length between 2 and 64`, name))
	}
	value := form.Get("DurationSeconds")
	if value == "" {
		return defaultSessionDuration, nil
	}
	seconds, err := strconv.Atoi(value)
	life := time.Duration(seconds) * time.Second
	if err != nil || life < minSessionDuration || life > maxSessionDuration {
		return 0, invalidParameter(fmt.Sprintf("1 validation error detected: Value '%s' at 'durationSeconds' failed to satisfy constraint: "+
			"Member must have value between 900 and 43200", value))
	}
	return life, nil
}

func (a *AWS) newSession(role Role, name string, life time.Duration) (assumedRoleUser, sessionCredentials) {
	// The wire format has whole seconds; the session must not live by a finer truth.
	expires := a.clock.now().Add(life).Truncate(time.Second)
	accessKeyID, key := a.iam.newSession(role, name, expires)
	return assumedRoleUser{ARN: key.caller.arn, AssumedRoleID: key.caller.userID}, sessionCredentials{
		AccessKeyID: accessKeyID, SecretAccessKey: key.secret, SessionToken: key.sessionToken,
		Expiration: expires.UTC().Format(time.RFC3339),
	}
}

func invalidParameter(message string) *failure {
	return &failure{status: http.StatusBadRequest, code: "ValidationError", message: message}
}

func invalidIdentityToken(message string) *failure {
	return &failure{status: http.StatusBadRequest, code: "InvalidIdentityToken", message: message}
}

func deniedWebIdentity() *failure {
	return &failure{
		status: http.StatusForbidden, code: "AccessDenied", message: "Not authorized to perform sts:AssumeRoleWithWebIdentity",
	}
}
