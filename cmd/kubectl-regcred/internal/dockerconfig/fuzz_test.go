package dockerconfig

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Whatever a pull Secret holds: it is read or refused, and what is said of it holds none of it.
func FuzzParse(f *testing.F) {
	f.Add(`{"auths":{"a.example":{"auth":"`+b64("u:a:b")+`"}}}`, false)
	f.Add(`{"a.example":{"username":"AWS","password":"`+b64(`{"expiration":1772388000}`)+`"}}`, true)
	f.Add(`{"auths":{"a.example":{"username":"`+acrUser+`","password":"eyJ.`+b64(`{"exp":1e10}`)+`.x"}}}`, false)
	f.Add(`{"auths":{"":{}}}`, false)
	f.Fuzz(func(t *testing.T, text string, legacy bool) {
		secret := &corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(text)}}
		if legacy {
			secret = &corev1.Secret{Type: corev1.SecretTypeDockercfg, Data: map[string][]byte{corev1.DockerConfigKey: []byte(text)}}
		}
		config, err := Parse(secret)
		if err != nil {
			if err != ErrMalformed && err != ErrEmpty { //nolint:errorlint // it is to be one of these very texts
				t.Errorf("the error is %v", err)
			}
			return
		}
		if len(config) == 0 {
			t.Error("there is neither a login nor an error")
		}
		for key, l := range config {
			if !l.ExpiresAt.IsZero() && (l.ExpiresAt.Before(time.Unix(0, 0)) || l.ExpiresAt.Year() > 9999) {
				t.Errorf("%s ends at %s", key, l.ExpiresAt)
			}
			if strings.Contains(l.Username, ":") && strings.Contains(text, `"auth"`) && !strings.Contains(text, `"username"`) {
				t.Errorf("the username of %s has a colon", key)
			}
		}
	})
}
