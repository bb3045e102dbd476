// Package dockerkey reads the keys of docker configs as the kubelet does (kubernetes pkg/credentialprovider/keyring.go).
package dockerkey

import (
	"maps"
	"net"
	"net/url"
	"path"
	"slices"
	"strings"
)

const (
	// Hub is Docker Hub in an image reference, and the host of images that name none.
	Hub = "docker.io"
	// HubKey is Docker Hub in a docker config; the kubelet and every other reader expect it in this form (docker/cli).
	HubKey = "https://index.docker.io/v1/"
	// hubIndex is what the kubelet makes of HubKey.
	hubIndex = "index.docker.io"
)

// Canonical gives Docker Hub, which has many names, one; any other host is itself.
func Canonical(host string) string {
	switch host {
	case hubIndex, "registry-1.docker.io":
		return Hub
	default:
		return host
	}
}

// Choose returns the keys whose logins the kubelet shows for an image, in the order in which it tries them: hosts are compared as MatchHost does,
// and paths, which begin with a slash, by their beginning; a longer path comes before a shorter one. What logs in to index.docker.io is for Docker
// Hub unless a key is for docker.io itself.
func Choose(keys []string, host, path string) []string {
	ring := make(map[string][]string, len(keys))
	for _, key := range keys {
		if pattern, ok := Pattern(key); ok {
			ring[pattern] = append(ring[pattern], key)
		}
	}
	var chosen []string
	for _, pattern := range slices.Backward(slices.Sorted(maps.Keys(ring))) {
		if matches(pattern, host+path) {
			chosen = append(chosen, ring[pattern]...)
		}
	}
	if len(chosen) == 0 && host == Hub {
		return ring[hubIndex]
	}
	return chosen
}

// Pattern is what a key stands for: host and path, without scheme and the version of the registry's API.
func Pattern(key string) (string, bool) {
	if !strings.HasPrefix(key, "https://") && !strings.HasPrefix(key, "http://") {
		key = "https://" + key
	}
	parsed, err := url.Parse(key)
	if err != nil {
		return "", false
	}
	below := parsed.Path
	if strings.HasPrefix(below, "/v1/") || strings.HasPrefix(below, "/v2/") {
		below = below[len("/v1"):]
	}
	if below == "/" {
		below = ""
	}
	return parsed.Host + below, true
}

func matches(pattern, image string) bool {
	want, err := url.Parse("https://" + pattern)
	if err != nil {
		return false
	}
	have, err := url.Parse("https://" + image)
	return err == nil && MatchHost(want.Host, have.Host) && strings.HasPrefix(have.Path, want.Path)
}

// MatchHost says whether a host is one of those that a pattern stands for: its labels are globs, one for each label of the host, and its port is
// the same.
func MatchHost(pattern, host string) bool {
	globs, wanted := splitHost(pattern)
	labels, port := splitHost(host)
	if wanted != port || len(globs) != len(labels) {
		return false
	}
	for i, glob := range globs {
		if matched, err := path.Match(glob, labels[i]); err != nil || !matched {
			return false
		}
	}
	return true
}

func splitHost(host string) (labels []string, port string) {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = host, ""
	}
	return strings.Split(name, "."), port
}
