// Package dockerconfig reads pull Secrets as the kubelet does, and what their tokens say of themselves. It keeps no token where it could be
// printed.
package dockerconfig

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/regcred/regcred/providers"
)

// Config is the content of a pull Secret, by the keys of its registries.
type Config map[string]Login

// Login is what a Secret holds for one key.
type Login struct {
	Username string
	Password providers.Sensitive
	// Kind is what kind of token it seems to be; empty for a password.
	Kind string
	// ExpiresAt is what the token says of itself; zero if it says nothing.
	ExpiresAt time.Time
}

// The kinds of tokens of clouds.
const (
	KindECR    = "ECR token"
	KindGoogle = "Google access token"
	KindAzure  = "ACR token"
	KindJWT    = "JWT"
)

// The ways in which a Secret can be of no use to a kubelet.
var (
	ErrType      = errors.New("it is of no type that holds pull credentials")
	ErrMalformed = errors.New("its content cannot be parsed")
	ErrEmpty     = errors.New("it holds no login")
)

// IsPullSecret says whether the type is one that kubelets read.
func IsPullSecret(secret *corev1.Secret) bool {
	return secret.Type == corev1.SecretTypeDockerConfigJson || secret.Type == corev1.SecretTypeDockercfg
}

// Parse reads a Secret. Errors hold none of its content.
func Parse(secret *corev1.Secret) (Config, error) {
	var file struct {
		Auths map[string]auth `json:"auths"`
		// Headers make a file malformed if they are.
		Headers map[string]string `json:"HttpHeaders"`
	}
	var content []byte
	var into any = &file
	switch secret.Type {
	case corev1.SecretTypeDockerConfigJson:
		content = secret.Data[corev1.DockerConfigJsonKey]
	case corev1.SecretTypeDockercfg:
		content, into = secret.Data[corev1.DockerConfigKey], &file.Auths
	default:
		return nil, fmt.Errorf("it is of type %q: %w", secret.Type, ErrType)
	}
	if len(content) == 0 {
		return nil, ErrEmpty
	}
	if json.Unmarshal(content, into) != nil {
		return nil, ErrMalformed
	}
	raw := file.Auths
	if len(raw) == 0 {
		return nil, ErrEmpty
	}
	config := make(Config, len(raw))
	for key, a := range raw {
		login, err := a.login()
		if err != nil {
			return nil, err
		}
		config[key] = login
	}
	return config, nil
}

// Keys are the keys in order.
func (c Config) Keys() []string { return slices.Sorted(maps.Keys(c)) }

type auth struct {
	Username string `json:"username"`
	Password string `json:"password"`
	Auth     string `json:"auth"`
	// Email makes an entry malformed if it is.
	Email string `json:"email"`
}

// login prefers auth, as the kubelet does (pkg/credentialprovider/config.go).
func (a auth) login() (Login, error) {
	if a.Auth != "" {
		decoded, err := decode(a.Auth)
		if err != nil {
			return Login{}, ErrMalformed
		}
		username, password, ok := strings.Cut(decoded, ":")
		if !ok {
			return Login{}, ErrMalformed
		}
		a.Username, a.Password = username, password
	}
	kind, expiresAt := inspect(a.Username, a.Password)
	return Login{Username: a.Username, Password: providers.Sensitive(a.Password), Kind: kind, ExpiresAt: expiresAt}, nil
}

// decode takes base64 with padding or without.
func decode(text string) (string, error) {
	encoding := base64.StdEncoding
	if !strings.HasSuffix(strings.TrimSpace(text), "=") {
		encoding = base64.RawStdEncoding
	}
	raw, err := encoding.DecodeString(text)
	return string(raw), err
}

// acrUser is the user of tokens of Azure container registries.
const acrUser = "00000000-0000-0000-0000-000000000000"

// inspect says what a token is, and when it ends by its own account.
func inspect(username, password string) (kind string, expiresAt time.Time) {
	if username == "AWS" {
		return KindECR, expiryOf(password, "expiration")
	}
	if username == "oauth2accesstoken" {
		return KindGoogle, time.Time{}
	}
	parts := strings.Split(password, ".")
	if len(parts) != 3 || !strings.HasPrefix(password, "eyJ") {
		return "", time.Time{}
	}
	kind = KindJWT
	if username == acrUser {
		kind = KindAzure
	}
	return kind, expiryOf(parts[1], "exp")
}

// expiryOf reads a number of seconds out of an object in base64.
func expiryOf(encoded, field string) time.Time {
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(encoded), "="))
	if err != nil {
		return time.Time{}
	}
	var object map[string]json.RawMessage
	var seconds float64
	if json.Unmarshal(raw, &object) != nil || json.Unmarshal(object[field], &seconds) != nil || seconds <= 0 || seconds > 1e11 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}
