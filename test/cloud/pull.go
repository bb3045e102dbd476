package cloud

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Pull pulls an image, all of it, with the credentials that the kubelet would choose from a .dockerconfigjson: it tries every entry
// that matches the image, the most specific first, and no credentials if there is none
// (kubernetes pkg/credentialprovider/keyring.go, pkg/kubelet/kuberuntime/kuberuntime_image.go).
func Pull(ctx context.Context, rt http.RoundTripper, dockerConfigJSON []byte, image string) (digest string, err error) {
	ref, err := name.ParseReference(image)
	if err != nil {
		return "", err
	}
	credentials, err := credentialsFor(dockerConfigJSON, ref)
	if err != nil {
		return "", err
	}
	if len(credentials) == 0 {
		credentials = []authn.Authenticator{authn.Anonymous}
	}
	var errs []error
	for _, credential := range credentials {
		digest, err := pull(ctx, rt, credential, ref)
		if err == nil {
			return digest, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

func pull(ctx context.Context, rt http.RoundTripper, credential authn.Authenticator, ref name.Reference) (string, error) {
	image, err := remote.Image(ref, remote.WithContext(ctx), remote.WithTransport(rt), remote.WithAuth(credential),
		// The kubelet's retry is the pod's back-off, minutes later, not the client's.
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}))
	if err != nil {
		return "", err
	}
	if _, err := image.RawConfigFile(); err != nil {
		return "", fmt.Errorf("config of %s: %w", ref, err)
	}
	layers, err := image.Layers()
	if err != nil {
		return "", fmt.Errorf("layers of %s: %w", ref, err)
	}
	for _, layer := range layers {
		if err := readLayer(layer); err != nil {
			return "", fmt.Errorf("layer of %s: %w", ref, err)
		}
	}
	digest, err := image.Digest()
	return digest.String(), err
}

// readLayer relies on the client to compare the bytes with their digest.
func readLayer(layer v1.Layer) error {
	body, err := layer.Compressed()
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, body)
	return errors.Join(err, body.Close())
}

func credentialsFor(dockerConfigJSON []byte, ref name.Reference) ([]authn.Authenticator, error) {
	var config struct {
		Auths map[string]struct {
			Username string `json:"username"`
			Password string `json:"password"`
			Auth     string `json:"auth"`
		} `json:"auths"`
	}
	if err := json.Unmarshal(dockerConfigJSON, &config); err != nil {
		return nil, errors.New("not a docker config") // the cause could quote the secret
	}
	var keys []string
	for key := range config.Auths {
		if matchesImage(key, ref) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Compare(entryKey(b), entryKey(a)) })
	var out []authn.Authenticator
	for _, key := range keys {
		entry := config.Auths[key]
		basic := &authn.Basic{Username: entry.Username, Password: entry.Password}
		if entry.Auth != "" {
			decoded, err := base64.StdEncoding.DecodeString(entry.Auth)
			username, password, found := strings.Cut(string(decoded), ":")
			if err != nil || !found {
				return nil, fmt.Errorf("auth of %s is not base64 of username:password", key)
			}
			basic = &authn.Basic{Username: username, Password: password}
		}
		out = append(out, basic)
	}
	return out, nil
}

// entryKey is an entry's host and path: the scheme does not count, nor does the API version of old docker configs.
func entryKey(entry string) string {
	_, key, hasScheme := strings.Cut(entry, "://")
	if !hasScheme {
		key = entry
	}
	host, rest, _ := strings.Cut(key, "/")
	if host == "docker.io" {
		host = name.DefaultRegistry // Docker Hub's name in image references, which the kubelet knows as well
	}
	rest = "/" + rest
	for _, version := range []string{"/v1/", "/v2/"} {
		if strings.HasPrefix(rest, version) {
			rest = rest[len(version)-1:]
		}
	}
	return host + strings.TrimSuffix(rest, "/")
}

// matchesImage compares hosts label by label, as globs, ports literally and paths by prefix.
func matchesImage(entry string, ref name.Reference) bool {
	host, entryPath, _ := strings.Cut(entryKey(entry), "/")
	host, port := splitPort(host)
	imageHost, imagePort := splitPort(ref.Context().RegistryStr())
	labels, imageLabels := strings.Split(host, "."), strings.Split(imageHost, ".")
	if port != imagePort || len(labels) != len(imageLabels) {
		return false
	}
	for i := range labels {
		if matched, err := path.Match(labels[i], imageLabels[i]); err != nil || !matched {
			return false
		}
	}
	return strings.HasPrefix(ref.Context().RepositoryStr(), entryPath)
}

func splitPort(hostport string) (host, port string) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return hostport, ""
	}
	return host, port
}
