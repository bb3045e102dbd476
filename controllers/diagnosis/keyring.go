package diagnosis

import (
	"net"
	"net/url"
	"path"
	"slices"
	"strings"
)

// indexHost is the registry of Docker Hub, as the kubelet knows it.
const indexHost = "index.docker.io"

// Choose returns those keys of docker configs whose logins the kubelet shows for the image, in the order in which it tries them
// (pkg/credentialprovider/keyring.go): hosts are compared label by label as globs, ports literally, and paths by their beginning; a longer
// path comes before a shorter one. What logs in to index.docker.io is for Docker Hub unless a key is for docker.io itself.
func (i Image) Choose(keys []string) []string {
	ring := make(map[string][]string, len(keys))
	for _, key := range keys {
		if pattern, ok := patternOf(key); ok {
			ring[pattern] = append(ring[pattern], key)
		}
	}
	patterns := make([]string, 0, len(ring))
	for pattern := range ring {
		patterns = append(patterns, pattern)
	}
	slices.Sort(patterns)
	slices.Reverse(patterns)
	var chosen []string
	for _, pattern := range patterns {
		if matches(pattern, i.Host+"/"+i.Repository) {
			chosen = append(chosen, ring[pattern]...)
		}
	}
	if len(chosen) == 0 && i.Host == dockerIO {
		return ring[indexHost]
	}
	return chosen
}

// dockerIO is the registry of images that name none.
const dockerIO = "docker.io"

// patternOf is what a key stands for: host and path, without scheme and the version of the registry's API.
func patternOf(key string) (string, bool) {
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
	if err != nil {
		return false
	}
	labels, port := splitHost(want.Host)
	own, ownPort := splitHost(have.Host)
	if port != ownPort || len(labels) != len(own) || !strings.HasPrefix(have.Path, want.Path) {
		return false
	}
	for n := range labels {
		if matched, err := path.Match(labels[n], own[n]); err != nil || !matched {
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
