package awsauth

import (
	"encoding/base64"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/internal/clockskew"
)

// Token takes an answer of GetAuthorizationToken apart: into a login without hosts, and the expiry by our clock, which says now.
func Token(action string, token *string, expiresAt *time.Time, answer middleware.Metadata, now time.Time) (providers.Login, time.Time, error) {
	if expiresAt == nil {
		return providers.Login{}, time.Time{}, NoToken(action)
	}
	decoded, err := base64.StdEncoding.DecodeString(aws.ToString(token))
	username, password, ok := strings.Cut(string(decoded), ":")
	if err != nil || !ok {
		return providers.Login{}, time.Time{}, providers.Errorf(v1alpha1.ReasonInvalidResponse,
			"%s answered with a token that is not username:password", action)
	}
	server, _ := awsmiddleware.GetServerTime(answer)
	expiry := clockskew.Ours(*expiresAt, server, now)
	return providers.Login{Username: username, Password: providers.Sensitive(password)}, expiry, nil
}

// NoToken is the failure of an answer that holds none.
func NoToken(action string) *providers.Error {
	return providers.Errorf(v1alpha1.ReasonInvalidResponse, "%s answered without a token", action)
}
