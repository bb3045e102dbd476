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

// Choose is a Ring's, for those who ask once.
func Choose(keys []string, host, path string) []string { return NewRing(keys).Choose(host, path) }

// Ring is keys, parsed for those who ask for many images.
type Ring struct {
	// places have the longest path first.
	places []place
	// hub are the keys that are for Docker Hub unless another is.
	hub []string
}

// place is what keys of one pattern stand for.
type place struct {
	host hostPattern
	path string
	keys []string
}

// NewRing parses the keys.
func NewRing(keys []string) *Ring {
	of := make(map[string][]string, len(keys))
	for _, key := range keys {
		if pattern, ok := Pattern(key); ok {
			of[pattern] = append(of[pattern], key)
		}
	}
	r := &Ring{hub: of[hubIndex]}
	for _, pattern := range slices.Backward(slices.Sorted(maps.Keys(of))) {
		if parsed, err := url.Parse("https://" + pattern); err == nil {
			r.places = append(r.places, place{splitHost(parsed.Host), parsed.Path, of[pattern]})
		}
	}
	return r
}

// Choose returns the keys whose logins the kubelet shows for an image, in the order in which it tries them: hosts are compared as MatchHost does,
// and paths, which begin with a slash, by their beginning; a longer path comes before a shorter one. What logs in to index.docker.io is for Docker
// Hub unless a key is for docker.io itself.
func (r *Ring) Choose(host, path string) []string { return slices.Concat(r.choose(host, path)...) }

// Ranks are the places in that order of the keys that are chosen. Those of one pattern share theirs: between them that of the Secrets decides.
func Ranks(keys []string, host, path string) map[string]int {
	ranks := map[string]int{}
	for rank, alike := range NewRing(keys).choose(host, path) {
		for _, key := range alike {
			ranks[key] = rank
		}
	}
	return ranks
}

// choose returns the keys that are chosen, those of one pattern together.
func (r *Ring) choose(host, path string) [][]string {
	var chosen [][]string
	if image, err := url.Parse("https://" + host + path); err == nil {
		at := splitHost(image.Host)
		for _, p := range r.places {
			if p.host.matches(at) && strings.HasPrefix(image.Path, p.path) {
				chosen = append(chosen, p.keys)
			}
		}
	}
	if len(chosen) == 0 && host == Hub {
		return [][]string{r.hub}
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

// MatchHost says whether a host is one of those that a pattern stands for: its labels are globs, one for each label of the host, and its port is
// the same.
func MatchHost(pattern, host string) bool { return splitHost(pattern).matches(splitHost(host)) }

// hostPattern is a host, or a pattern of hosts.
type hostPattern struct {
	labels []string
	port   string
}

func (p hostPattern) matches(host hostPattern) bool {
	if p.port != host.port || len(p.labels) != len(host.labels) {
		return false
	}
	for i, glob := range p.labels {
		if matched, err := path.Match(glob, host.labels[i]); err != nil || !matched {
			return false
		}
	}
	return true
}

func splitHost(host string) hostPattern {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = host, ""
	}
	return hostPattern{strings.Split(name, "."), port}
}
