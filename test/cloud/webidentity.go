package cloud

import (
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// WebIdentityToken makes a ServiceAccount token as a cluster with this issuer would, except that its signature proves nothing: clouds that know
// the keys of clusters refuse it.
func WebIdentityToken(issuer, subject, audience string, expires time.Time) (string, error) {
	claims := jwt.RegisteredClaims{
		Issuer: issuer, Subject: subject, Audience: jwt.ClaimStrings{audience}, ExpiresAt: jwt.NewNumericDate(expires),
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(randomData(32))
	if err != nil {
		return "", fmt.Errorf("signing a web identity token: %w", err)
	}
	return token, nil
}
