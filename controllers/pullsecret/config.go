package pullsecret

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/internal/dockerkey"
	"github.com/regcred/regcred/providers"
)

// Config is the content of a kubernetes.io/dockerconfigjson Secret. auth alone is enough for the kubelet, the container
// runtimes, Flux and Kaniko, and halves the bytes.
type Config struct {
	Auths Auths `json:"auths"`
}

// Auths are logins by the key of a registry.
type Auths map[string]Auth

// Auth is a login.
type Auth struct {
	Auth string `json:"auth"`
}

// AuthsOf are the entries of a docker config for the hosts of a token.
func AuthsOf(t providers.Token) Auths {
	auths := make(Auths, 1)
	for _, l := range t.Logins {
		auth := Auth{Auth: base64.StdEncoding.EncodeToString([]byte(l.Username + ":" + l.Password.Reveal()))}
		for _, host := range l.Hosts {
			auths[Key(host)] = auth
		}
	}
	return auths
}

// Key is the key of a registry host in a docker config. Other names of Docker Hub than that in an image reference stay as they are: a
// source has written them for somebody who looks for them.
func Key(host string) string {
	if host == dockerkey.Hub {
		return dockerkey.HubKey
	}
	return host
}

// errUnreadable is returned for data that Regcred did not write.
var errUnreadable = providers.Errorf(v1alpha1.ReasonInternal, "the content of the Secret is not what was written")

// ParseConfig reads the docker config in a Secret.
func ParseConfig(secret *corev1.Secret) (*Config, error) {
	content := &Config{}
	if json.Unmarshal(secret.Data[corev1.DockerConfigJsonKey], content) != nil {
		return nil, errUnreadable
	}
	return content, nil
}

// Of are the logins for the hosts, as far as there are any.
func (c *Config) Of(hosts []string) Auths {
	auths := make(Auths, len(hosts))
	for _, host := range hosts {
		if auth, ok := c.Auths[Key(host)]; ok {
			auths[Key(host)] = auth
		}
	}
	return auths
}

// Login is the login for a host.
func (c *Config) Login(host string) (providers.Login, error) {
	auth, err := base64.StdEncoding.DecodeString(c.Auths[Key(host)].Auth)
	username, password, ok := strings.Cut(string(auth), ":")
	if err != nil || !ok {
		return providers.Login{}, errUnreadable
	}
	return providers.Login{Username: username, Password: providers.Sensitive(password), Hosts: []string{host}}, nil
}

// Fits says whether there is a login for each host of the records, and no other.
func (c *Config) Fits(records map[string]Record) bool {
	hosts := map[string]struct{}{}
	for _, r := range records {
		for _, host := range r.Hosts {
			if _, err := c.Login(host); err != nil {
				return false
			}
			hosts[Key(host)] = struct{}{}
		}
	}
	return len(hosts) == len(c.Auths)
}
