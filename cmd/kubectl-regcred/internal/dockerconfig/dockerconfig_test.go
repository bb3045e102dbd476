package dockerconfig

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const canary = "c4n4ry-passw0rd"

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func secretOf(auths string) *corev1.Secret {
	return &corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":` + auths + `}`)}}
}

func TestParse(t *testing.T) {
	ends := time.Date(2026, 3, 1, 18, 0, 0, 0, time.UTC)
	ecr := b64(fmt.Sprintf(`{"payload":"x","version":"2","type":"DATA_KEY","expiration":%d}`, ends.Unix()))
	jwt := "eyJhbGciOiJub25lIn0." + strings.TrimRight(b64(fmt.Sprintf(`{"exp":%d}`, ends.Unix())), "=") + ".c2ln"
	config, err := Parse(secretOf(`{
		"plain.example": {"username": "u", "password": "` + canary + `"},
		"auth.example": {"username": "ignored", "auth": "` + b64("u:a:b") + `"},
		"ecr.example": {"auth": "` + b64("AWS:"+ecr) + `"},
		"google.example": {"auth": "` + b64("oauth2accesstoken:ya29.x") + `"},
		"azure.example": {"auth": "` + b64(acrUser+":"+jwt) + `"},
		"jwt.example": {"auth": "` + b64("robot:"+jwt) + `"},
		"odd.example": {"auth": "` + b64("robot:eyJ.not.base64!") + `"}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]Login{
		"plain.example": {Username: "u", Password: canary}, "auth.example": {Username: "u", Password: "a:b"},
		"ecr.example": {Username: "AWS", Kind: KindECR, ExpiresAt: ends}, "google.example": {Username: "oauth2accesstoken", Kind: KindGoogle},
		"azure.example": {Username: acrUser, Kind: KindAzure, ExpiresAt: ends}, "jwt.example": {Username: "robot", Kind: KindJWT, ExpiresAt: ends},
		"odd.example": {Username: "robot", Kind: KindJWT},
	} {
		got := config[key]
		if got.Username != want.Username || got.Kind != want.Kind || !got.ExpiresAt.Equal(want.ExpiresAt) || want.Password != "" && got.Password != want.Password {
			t.Errorf("%s: %s, %s, %s", key, got.Username, got.Kind, got.ExpiresAt)
		}
	}
	if shown := fmt.Sprintf("%v %+v %#v %s", config, config, config, config); strings.Contains(shown, canary) {
		t.Error("a password is printed")
	}
}

func TestWhatNoKubeletCanUse(t *testing.T) {
	for name, c := range map[string]struct {
		secret *corev1.Secret
		want   error
	}{
		"no JSON":        {&corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(canary)}}, ErrMalformed},
		"no base64":      {secretOf(`{"a.example":{"auth":"` + canary + `!"}}`), ErrMalformed},
		"no colon":       {secretOf(`{"a.example":{"auth":"` + b64(canary) + `"}}`), ErrMalformed},
		"no logins":      {secretOf(`{}`), ErrEmpty},
		"no auths":       {&corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"ghcr.io":{}}`)}}, ErrEmpty},
		"another type":   {&corev1.Secret{Type: corev1.SecretTypeOpaque, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{}`)}}, ErrType},
		"the old format": {&corev1.Secret{Type: corev1.SecretTypeDockercfg, Data: map[string][]byte{corev1.DockerConfigKey: []byte(`[]`)}}, ErrMalformed},
	} {
		_, err := Parse(c.secret)
		if !errors.Is(err, c.want) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
