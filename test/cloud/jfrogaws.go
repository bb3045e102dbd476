package cloud

import (
	"net/http"
	"strconv"
	"time"

	"github.com/regcred/regcred/test/cloud/facts"
)

// ActionJFrogAWSLogin is the login of a role of AWS.
const ActionJFrogAWSLogin = "jfrog:AWSLogin"

// AddAWSRole lets a role of AWS log in as a user.
func (j *JFrog) AddAWSRole(arn, username string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.roles[arn] = username
}

// loginOfRole takes the headers of a signed GetCallerIdentity for the role that has signed it, as STS would say it.
func (j *JFrog) loginOfRole(r *request) (http.HandlerFunc, *failure) {
	if j.options.AWS == nil {
		return nil, &failure{status: http.StatusNotFound, code: "NOT_FOUND", message: "no such resource"}
	}
	who, ok := j.options.AWS.callerOf(r.Header, facts.JFrogAWSRequest)
	j.mu.Lock()
	username := j.roles[who.identity]
	j.mu.Unlock()
	if !ok || username == "" {
		return nil, jfrogUnauthorized("Bad Credentials")
	}
	fields, failed := jfrogFields(r)
	if failed != nil {
		return nil, failed
	}
	seconds, err := strconv.ParseInt(fields["expires_in"], 10, 32)
	if err != nil || seconds <= 0 {
		return nil, jfrogBadRequest("expires_in is not a positive number")
	}
	token := JFrogToken{Username: username, Scope: jfrogUserScope, Description: who.identity}
	return j.issue(token, time.Duration(seconds)*time.Second, func(password string, issued JFrogToken, seconds int) map[string]any {
		return map[string]any{
			"token_id": issued.ID, "access_token": password, "expires_in": seconds, "scope": issued.Scope, "token_type": "Bearer", "username": issued.Username,
		}
	}), nil
}
