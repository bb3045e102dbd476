package cloud

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// PublishKeys lets the clouds know the keys of a cluster's issuer of ServiceAccount tokens, a JSON Web Key Set. They are on the curve P-256, as
// those of the control planes of tests are. From then on the clouds take no token but one that a published issuer has signed; before, they
// believe every token that is made for a test.
func (n *Internet) PublishKeys(issuer string, keySet []byte) error {
	var set struct {
		Keys []struct{ Kid, Crv, X, Y string }
	}
	if err := json.Unmarshal(keySet, &set); err != nil {
		return fmt.Errorf("keys of %s: %w", issuer, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.issuers == nil {
		n.issuers = map[issuerKey]*ecdsa.PublicKey{}
	}
	for _, key := range set.Keys {
		x, errX := base64.RawURLEncoding.DecodeString(key.X)
		y, errY := base64.RawURLEncoding.DecodeString(key.Y)
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y)) // SEC 1, 2.3.3
		if err := errors.Join(errX, errY, err); err != nil {
			return fmt.Errorf("a key of %s on the curve %q: %w", issuer, key.Crv, err)
		}
		n.issuers[issuerKey{issuer, key.Kid}] = public
	}
	return nil
}

type issuerKey struct{ issuer, id string }

// parseIdentityToken reads a ServiceAccount token and checks whose it is. Its times and audience are for the service to judge, in its own words.
func (n *Internet) parseIdentityToken(token string, claims jwt.Claims) error {
	n.mu.Lock()
	published := len(n.issuers) > 0
	n.mu.Unlock()
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithoutClaimsValidation())
	if !published {
		_, _, err := parser.ParseUnverified(token, claims)
		return err
	}
	_, err := parser.ParseWithClaims(token, claims, n.issuersKey)
	return err
}

// issuersKey is the key that the token says to be signed with, if its issuer has published one.
func (n *Internet) issuersKey(token *jwt.Token) (any, error) {
	issuer, err := token.Claims.GetIssuer()
	if err != nil {
		return nil, err
	}
	id, _ := token.Header["kid"].(string)
	n.mu.Lock()
	defer n.mu.Unlock()
	key, ok := n.issuers[issuerKey{issuer, id}]
	if !ok {
		return nil, fmt.Errorf("%s has published no such key: %w", issuer, jwt.ErrTokenUnverifiable)
	}
	return key, nil
}
