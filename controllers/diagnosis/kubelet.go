// Package diagnosis says why a kubelet could not pull an image, and what helps. It is pure: it is fed with what is known, asks nobody, and
// so serves the controller and the command line alike.
package diagnosis

import (
	"regexp"
	"strings"
	"unique"

	"github.com/google/go-containerregistry/pkg/name"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/internal/dockerkey"
)

// FailedPull is a container image that a kubelet failed to pull for a pod.
type FailedPull struct {
	Namespace, Pod string
	UID            types.UID
	Image          string
	// Cause is known from the kubelet's words if no credential could have prevented the failure; empty if one could.
	Cause string
	// WithLogin is the cause if the kubelet showed a login, and empty if a credential could have helped even then: registries say "too many
	// requests" and "not found" to whom they do not know, too.
	WithLogin string
	// Mirror is the host that answered, if it is another than the image's; empty if the words name none.
	Mirror string
}

// Whoever may write events in a namespace may write any: what no kubelet would write is none of its events. Its longest messages quote a
// registry's answer; names, UIDs and images are far shorter.
const (
	maxMessage = 4 << 10
	maxImage   = 1 << 10
	maxName    = 253
	maxUID     = 64
)

// FailedPullOf reads an event of the kubelet. Its other events of the reason Failed (Error: ErrImagePull and the like) say nothing new.
func FailedPullOf(e *corev1.Event) (FailedPull, bool) {
	pod := e.InvolvedObject
	if pod.Kind != "Pod" || pod.UID == "" || e.Source.Component != "kubelet" && e.ReportingController != "kubelet" {
		return FailedPull{}, false
	}
	// The API server compares the two namespaces in some events only, and bounds none of these texts.
	if pod.Namespace != e.Namespace || len(e.Message) > maxMessage || len(pod.Name) > maxName || len(pod.UID) > maxUID {
		return FailedPull{}, false
	}
	match := failedPullMessage.FindStringSubmatch(e.Message)
	if match == nil {
		return FailedPull{}, false
	}
	image, text := match[1], match[2]
	if len(image) > maxImage {
		return FailedPull{}, false
	}
	p := FailedPull{
		// Copies that many pods share: a part of the message would keep all of it in memory.
		Namespace: unique.Make(pod.Namespace).Value(), Pod: pod.Name, UID: pod.UID,
		Image:  unique.Make(strings.Clone(image)).Value(),
		Mirror: unique.Make(strings.Clone(mirrorOf(image, text))).Value(),
	}
	w := wordsIn(image, text)
	if w.login {
		p.WithLogin = w.cause
	} else {
		p.Cause = w.cause
	}
	return p, true
}

// failedPullMessage is how the kubelet words it (pkg/kubelet/images/image_manager.go). client-go's recorder puts a prefix before the
// messages of a pod that has many (tools/record/events_cache.go).
var failedPullMessage = regexp.MustCompile(`(?s)^(?:\(combined from similar events\): )?Failed to pull image "([^"]+)":(.*)$`)

// words stand for a cause; login is whether they say so only of a pull that showed a login.
type words struct {
	cause   string
	pattern *regexp.Regexp
	login   bool
}

// pullWords are the words of containerd 1.6 to 2.x, of CRI-O and of what they quote from registries and from Go's network stack. The
// first that match decide: what is said of the network or of the registry's health is more precise than that a token could not be
// fetched because of it, and registries hide what one may not see behind "not found".
var pullWords = []words{
	{v1alpha1.CauseRateLimited, regexp.MustCompile(`pull qps exceeded`), false}, // the node's own limit
	{v1alpha1.CauseRateLimited, regexp.MustCompile(`toomanyrequests|too many requests|rate limit|` + status("429")), true},
	{v1alpha1.CauseUntrusted, regexp.MustCompile(`x509:|tls: failed to verify|server gave http response to https client`), false},
	{v1alpha1.CauseUnreachable, regexp.MustCompile(`no such host|server misbehaving|i/o timeout|tls handshake timeout|connection refused|connection reset|` +
		`no route to host|network is unreachable|deadline exceeded|deadlineexceeded|client\.timeout|dial tcp|unexpected eof|context canceled`), false},
	{v1alpha1.CauseRegistryFailing, regexp.MustCompile(`internal server error|bad gateway|service unavailable|gateway time-?out|` + status("50[0-4]")), false},
	{"", regexp.MustCompile(`unauthorized|unauthenticated|forbidden|denied|no basic auth credentials|authorization failed|insufficient_scope|` +
		`authentication required|invalid username/password|incorrect username or password|token has expired|no valid credentials|` +
		`failed to authorize|failed to fetch (?:oauth|anonymous) token|unable to retrieve auth token|` + status("40[13]")), false},
	{v1alpha1.CauseImageNotFound, regexp.MustCompile(`not found|notfound|manifest unknown|manifest_unknown|name unknown|name_unknown|does not exist|` + status("404")), true},
}

// status matches a status code as runtimes write it.
func status(code string) string {
	return `(?:status(?: code)?(?: from registry)?|\])\W{1,3}` + code + `\b`
}

// quoted are URLs and paths: an image may be called unauthorized.
var quoted = regexp.MustCompile(`https?://[^\s"']+|[\w.:-]+/[\w./-]+(?:[:@][\w.:-]+)?`)

func wordsIn(ref, message string) words {
	image, known := ParseImage(ref)
	repository := strings.TrimPrefix(image.Repository, "library/")
	text := strings.ReplaceAll(message, ref, "")
	text = quoted.ReplaceAllStringFunc(text, func(match string) string {
		// A form of the reference: with another tag, with a digest, or without its host.
		if strings.HasPrefix(match, "http") || known && strings.Contains(match, repository) {
			return ""
		}
		return match
	})
	text = strings.ToLower(text)
	for _, w := range pullWords {
		if w.pattern.MatchString(text) {
			return w
		}
	}
	return words{cause: v1alpha1.CauseOther}
}

// answered are the forms in which containerd names the host that was asked for a manifest or a blob. It is not the image's where the node
// has a mirror (containerd docs/hosts.md); the token endpoint of a registry has another path.
var answered = regexp.MustCompile(`https?://([\w.:-]+)/v2/[^\s"?]+/(?:manifests|blobs)/|pulling from host ([\w.:-]+) failed`)

func mirrorOf(ref, message string) string {
	i, ok := ParseImage(ref)
	match := answered.FindStringSubmatch(message)
	if !ok || match == nil {
		return ""
	}
	host := match[1] + match[2]
	if len(host) > 253 || dockerkey.Canonical(host) == dockerkey.Canonical(i.Host) {
		return ""
	}
	return host
}

// Image is an image reference.
type Image struct {
	Host, Repository, Reference string
}

// hosts is the grammar of hosts in image references (distribution/reference). The parser takes more, such as "::".
var hosts = regexp.MustCompile(`^(?:(?:[0-9A-Za-z](?:[0-9A-Za-z-]*[0-9A-Za-z])?)(?:\.[0-9A-Za-z](?:[0-9A-Za-z-]*[0-9A-Za-z])?)*|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?$`)

// ParseImage reads an image reference as container runtimes do.
func ParseImage(ref string) (Image, bool) {
	parsed, err := name.ParseReference(ref, name.WeakValidation)
	if err != nil || !hosts.MatchString(parsed.Context().RegistryStr()) {
		return Image{}, false
	}
	i := Image{Host: parsed.Context().RegistryStr(), Repository: parsed.Context().RepositoryStr(), Reference: parsed.Identifier()}
	if i.Host == name.DefaultRegistry {
		i.Host = dockerkey.Hub
	}
	return i, true
}

func (i Image) String() string { return i.Host + "/" + i.Repository }

// Choose returns those keys of docker configs whose logins the kubelet shows for the image, in the order in which it tries them.
func (i Image) Choose(keys []string) []string {
	return dockerkey.Choose(keys, i.Host, "/"+i.Repository)
}

// Ranks are the places in that order of the keys whose logins the kubelet shows. Keys that mean the same share theirs: the first Secret in
// the pod's list comes first.
func (i Image) Ranks(keys []string) map[string]int {
	return dockerkey.Ranks(keys, i.Host, "/"+i.Repository)
}

// Under says whether a key of a docker config is for the image, as the kubelet decides it (Choose). Every name of Docker Hub stands for it.
func (i Image) Under(key string) bool {
	if dockerkey.Canonical(key) == dockerkey.Hub {
		return i.Host == dockerkey.Hub
	}
	return len(i.Choose([]string{key})) > 0
}
