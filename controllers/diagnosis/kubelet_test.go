package diagnosis

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/regcred/regcred/api/v1alpha1"
)

const (
	ecrImage = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app:v1"
	credible = "" // a credential could have prevented it
)

// kubeletEvent is an event as the kubelet makes it.
func kubeletEvent(message string) *corev1.Event {
	return &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team"},
		Source:     corev1.EventSource{Component: "kubelet", Host: "node-1"}, ReportingController: "kubelet", Reason: "Failed", Type: corev1.EventTypeWarning,
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: "team", Name: "app-0", UID: "1", FieldPath: "spec.containers{app}"},
		Message:        message,
	}
}

func TestTheWordsOfRuntimesTellWhatACredentialCouldHavePrevented(t *testing.T) {
	const resolve = `rpc error: code = Unknown desc = failed to pull and unpack image "IMG": failed to resolve reference "IMG": `
	const resolve2 = `failed to pull and unpack image "IMG": failed to resolve reference "IMG": `
	const url = `https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/v2/team/app/manifests/v1`
	for name, c := range map[string]struct{ image, text, want string }{
		// containerd 1.6 and 1.7
		"1.6 401":                   {"", resolve + `pulling from host 123456789012.dkr.ecr.eu-west-1.amazonaws.com failed with status code [manifests v1]: 401 Unauthorized`, credible},
		"1.6 403":                   {"", resolve + `pulling from host 123456789012.dkr.ecr.eu-west-1.amazonaws.com failed with status code [manifests v1]: 403 Forbidden`, credible},
		"1.6 unexpected 403":        {"", resolve + `unexpected status code [manifests v1]: 403 Forbidden`, credible},
		"1.6 no login":              {"", resolve + `pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials`, credible},
		"1.6 scope":                 {"", resolve + `pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed`, credible},
		"1.6 token 403":             {"", resolve + `failed to authorize: failed to fetch anonymous token: unexpected status: 403 Forbidden`, credible},
		"1.7 token 401":             {"ghcr.io/team/app:v1", resolve + `failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://ghcr.io/token?scope=repository%3Ateam%2Fapp%3Apull&service=ghcr.io: 401 Unauthorized`, credible},
		"1.7 oauth 403 of GAR":      {"europe-docker.pkg.dev/p/team/app:v1", resolve + `failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://europe-docker.pkg.dev/v2/token?scope=repository%3Ap%2Fteam%2Fapp%3Apull&service=europe-docker.pkg.dev: 403 Forbidden`, credible},
		"1.7 oauth 401 of ACR":      {"r.azurecr.io/app:v1", resolve + `failed to authorize: failed to fetch oauth token: unexpected status from POST request to https://r.azurecr.io/oauth2/token: 401 Unauthorized`, credible},
		"1.7 not found":             {"", `rpc error: code = NotFound desc = failed to pull and unpack image "IMG": failed to resolve reference "IMG": IMG: not found`, v1alpha1.CauseImageNotFound},
		"1.7 DNS":                   {"", resolve + `failed to do request: Head "` + url + `": dial tcp: lookup 123456789012.dkr.ecr.eu-west-1.amazonaws.com on 10.0.0.10:53: no such host`, v1alpha1.CauseUnreachable},
		"1.7 dial":                  {"", resolve + `failed to do request: Head "` + url + `": dial tcp 10.0.0.1:443: i/o timeout`, v1alpha1.CauseUnreachable},
		"1.7 refused":               {"", resolve + `failed to do request: Head "` + url + `": dial tcp 10.0.0.1:443: connect: connection refused`, v1alpha1.CauseUnreachable},
		"1.7 handshake":             {"", resolve + `failed to do request: Head "` + url + `": net/http: TLS handshake timeout`, v1alpha1.CauseUnreachable},
		"1.7 handshake for a token": {"python:3.10", resolve + `failed to authorize: failed to fetch anonymous token: Get "https://auth.docker.io/token?scope=repository%3Alibrary%2Fpython%3Apull&service=registry.docker.io": net/http: TLS handshake timeout`, v1alpha1.CauseUnreachable},
		"1.7 token DNS":             {"python:3.10", resolve + `failed to authorize: failed to fetch oauth token: Post "https://auth.docker.io/token": dial tcp: lookup auth.docker.io: i/o timeout`, v1alpha1.CauseUnreachable},
		"1.7 x509":                  {"", resolve + `failed to do request: Head "` + url + `": tls: failed to verify certificate: x509: certificate signed by unknown authority`, v1alpha1.CauseUntrusted},
		"1.6 plain HTTP":            {"", resolve + `failed to do request: Head "` + url + `": http: server gave HTTP response to HTTPS client`, v1alpha1.CauseUntrusted},
		"1.7 rate limit":            {"busybox:1", `rpc error: code = Unknown desc = failed to pull and unpack image "docker.io/library/busybox:1": failed to copy: httpReadSeeker: failed open: unexpected status code https://registry-1.docker.io/v2/library/busybox/manifests/sha256:12: 429 Too Many Requests - Server message: toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating and upgrading: https://www.docker.com/increase-rate-limit`, v1alpha1.CauseRateLimited},
		"1.7 token 429":             {"busybox:1", resolve + `failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://auth.docker.io/token?scope=x: 429 Too Many Requests`, v1alpha1.CauseRateLimited},
		"1.7 500":                   {"", resolve + `unexpected status from HEAD request to ` + url + `: 500 Internal Server Error`, v1alpha1.CauseRegistryFailing},
		"1.7 token 503":             {"r.azurecr.io/app:v1", resolve + `failed to authorize: failed to fetch oauth token: unexpected status from POST request to https://r.azurecr.io/oauth2/token: 503 Service Unavailable`, v1alpha1.CauseRegistryFailing},
		"1.7 canceled":              {"", `rpc error: code = Canceled desc = failed to pull and unpack image "IMG": failed to copy: httpReadSeeker: failed open: failed to do request: Get "` + url + `": context canceled`, v1alpha1.CauseUnreachable},
		"no room":                   {"", `rpc error: code = Unknown desc = failed to pull and unpack image "IMG": failed to extract layer sha256:12: write /var/lib/x: no space left on device: unknown`, v1alpha1.CauseOther},
		"no platform":               {"", `rpc error: code = NotFound desc = failed to pull and unpack image "IMG": no match for platform in manifest: not found`, v1alpha1.CauseImageNotFound},
		"the node's own limit":      {"", `pull QPS exceeded`, v1alpha1.CauseRateLimited},
		"containerd is gone":        {"", `rpc error: code = Unavailable desc = error reading from server: EOF`, v1alpha1.CauseOther},
		// containerd 2.x
		"2.0 401":               {"", resolve2 + `unexpected status from HEAD request to ` + url + `: 401 Unauthorized`, credible},
		"2.0 403":               {"", resolve2 + `unexpected status from HEAD request to ` + url + `: 403 Forbidden`, credible},
		"2.1 expired ECR token": {"", resolve2 + `unexpected status from HEAD request to ` + url + `: 403 Forbidden - Server message: denied: Your authorization token has expired. Reauthenticate and try again.`, credible},
		"2.0 no login":          {"", resolve2 + `pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials`, credible},
		"2.x of many logins":    {"", `[` + resolve2 + `unexpected status from HEAD request to ` + url + `: 401 Unauthorized, ` + resolve2 + `IMG: not found]`, credible},
		"2.0 not found":         {"", resolve2 + `IMG: not found`, v1alpha1.CauseImageNotFound},
		// CRI-O
		"CRI-O login":            {"", `unable to retrieve auth token: invalid username/password: unauthorized: authentication required`, credible},
		"CRI-O bearer 403":       {"registry.example/ns/app:1.0", `rpc error: code = Unknown desc = Requesting bearer token: invalid status code from registry 403 (Forbidden)`, credible},
		"CRI-O denied":           {"quay.io/team/app:v1", `rpc error: code = Unknown desc = reading manifest v1 in quay.io/team/app: unauthorized: access to the requested resource is not authorized`, credible},
		"CRI-O of Docker Hub":    {"docker.io/team/app:v1", `initializing source docker://team/app:v1: reading manifest v1 in docker.io/team/app: errors: denied: requested access to the resource is denied unauthorized: authentication required`, credible},
		"CRI-O unknown":          {"quay.io/team/app:v1", `rpc error: code = Unknown desc = reading manifest v1 in quay.io/team/app: manifest unknown`, v1alpha1.CauseImageNotFound},
		"CRI-O name unknown":     {"quay.io/team/app:v1", `initializing source docker://quay.io/team/app:v1: reading manifest v1 in quay.io/team/app: name unknown: repository not found`, v1alpha1.CauseImageNotFound},
		"CRI-O ping":             {"quay.io/team/app:v1", `initializing source docker://quay.io/team/app:v1: pinging container registry quay.io: Get "https://quay.io/v2/": dial tcp 10.0.0.1:443: connect: connection refused`, v1alpha1.CauseUnreachable},
		"CRI-O x509":             {"quay.io/team/app:v1", `pinging container registry quay.io: Get "https://quay.io/v2/": x509: certificate has expired or is not yet valid`, v1alpha1.CauseUntrusted},
		"CRI-O rate limit":       {"docker.io/team/app:v1", `reading manifest v1 in docker.io/team/app: toomanyrequests: You have reached your unauthenticated pull rate limit.`, v1alpha1.CauseRateLimited},
		"CRI-O 502":              {"quay.io/team/app:v1", `reading manifest v1 in quay.io/team/app: received unexpected HTTP status: 502 Bad Gateway`, v1alpha1.CauseRegistryFailing},
		"dockerd by cri-dockerd": {"octarinesec/guardrails:20.7", `rpc error: code = Unknown desc = Error response from daemon: pull access denied for octarinesec/guardrails, repository does not exist or may require 'docker login': denied: requested access to the resource is denied`, credible},
		// names that sound like causes
		"an image called unauthorized": {"r.example/unauthorized/denied:403", resolve + `r.example/unauthorized/denied:403: not found`, v1alpha1.CauseImageNotFound},
		"its repository alone":         {"r.example/unauthorized/denied:v1", `reading manifest v1 in r.example/unauthorized/denied: manifest unknown`, v1alpha1.CauseImageNotFound},
		"its URL":                      {"r.example/forbidden:v1", `unexpected status from HEAD request to https://r.example/v2/forbidden/manifests/v1: 404 Not Found`, v1alpha1.CauseImageNotFound},
		"a tag that is a status":       {"r.example/app:401", resolve + `failed to do request: Head "https://r.example/v2/app/manifests/401": dial tcp 10.0.0.1:403: i/o timeout`, v1alpha1.CauseUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			if c.image == "" {
				c.image = ecrImage
			}
			message := `Failed to pull image "` + c.image + `": ` + strings.ReplaceAll(c.text, "IMG", c.image)
			for _, prefix := range []string{"", "(combined from similar events): "} {
				got, ok := FailedPullOf(kubeletEvent(prefix + message))
				if !ok || got.Cause+got.WithLogin != c.want || got.Image != c.image || got.Pod != "app-0" || got.Namespace != "team" || got.UID != "1" {
					t.Errorf("%t, %+v, want the cause %q", ok, got, c.want)
				}
			}
		})
	}
}

func TestTooManyAndNotFoundSayNothingOfAPullWithoutALogin(t *testing.T) {
	for text, c := range map[string]struct{ cause, withLogin string }{
		"failed to resolve: unexpected status code https://r.example/v2/app/manifests/v1: 429 Too Many Requests": {"", v1alpha1.CauseRateLimited},
		"failed to resolve: app: not found":  {"", v1alpha1.CauseImageNotFound},
		"pull QPS exceeded":                  {v1alpha1.CauseRateLimited, ""},
		"dial tcp 10.0.0.1:443: i/o timeout": {v1alpha1.CauseUnreachable, ""},
		"401 Unauthorized":                   {"", ""},
	} {
		got, ok := FailedPullOf(kubeletEvent(`Failed to pull image "r.example/app:v1": ` + text))
		if !ok || got.Cause != c.cause || got.WithLogin != c.withLogin {
			t.Errorf("%s: %+v", text, got)
		}
	}
}

// Docker Hub limits those who come without a login, and says so: the cure is the login that a credential holds.
func TestTheHubsLimitForPullsWithoutALoginIsAMissingLogin(t *testing.T) {
	failed, ok := FailedPullOf(kubeletEvent(`Failed to pull image "nginx:1.27": failed to pull and unpack image "docker.io/library/nginx:1.27": failed to copy: ` +
		`httpReadSeeker: failed open: unexpected status code https://registry-1.docker.io/v2/library/nginx/manifests/sha256:12: 429 Too Many Requests - ` +
		`Server message: toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit`))
	if !ok || failed.Cause != "" || failed.Mirror != "" {
		t.Fatalf("read as %+v", failed)
	}
	image, _ := ParseImage(failed.Image)
	for want, linked := range map[string][]string{v1alpha1.CauseNotLinked: nil, v1alpha1.CausePodBeforeLink: {"hub"}} {
		hub := heldBy("hub", func(h *Holding) { h.Covering.Key, h.Wanted = "docker.io", false })
		f := Diagnose(Evidence{Image: image, Pod: Pod{Account: "default"}, Linked: linked, Holdings: []Holding{hub}, WithLogin: failed.WithLogin, Now: noon})
		if f.Cause != want {
			t.Errorf("a ServiceAccount with the links %v: %s, want %s: %s", linked, f.Cause, want, f.Note)
		}
	}
}

func TestAMirrorThatAnswersIsNamed(t *testing.T) {
	for _, c := range []struct{ image, text, want string }{
		{"r.example/app:v1", "unexpected status from HEAD request to https://mirror.example:5000/v2/app/manifests/v1?ns=r.example: 401 Unauthorized", "mirror.example:5000"},
		{"r.example/app:v1", "pulling from host mirror.example failed with status code [manifests v1]: 403 Forbidden", "mirror.example"},
		{"r.example/app:v1", "unexpected status from HEAD request to https://r.example/v2/app/manifests/v1: 401 Unauthorized", ""},
		{"r.example/app:v1", "failed to fetch oauth token: unexpected status from GET request to https://auth.example/token?service=r.example: 401 Unauthorized", ""},
		{"busybox", "unexpected status from HEAD request to https://registry-1.docker.io/v2/library/busybox/manifests/latest: 401 Unauthorized", ""},
	} {
		if got, ok := FailedPullOf(kubeletEvent(`Failed to pull image "` + c.image + `": ` + c.text)); !ok || got.Mirror != c.want {
			t.Errorf("%s: the mirror is %q, want %q", c.text, got.Mirror, c.want)
		}
	}
}

func TestOtherEventsSayNothingOfAPull(t *testing.T) {
	for name, e := range map[string]*corev1.Event{
		"the second event of the kubelet": kubeletEvent("Error: ErrImagePull"),
		"back-off":                        kubeletEvent("Error: ImagePullBackOff"),
		"another failure":                 kubeletEvent("Error: failed to create containerd task: failed to create shim task"),
		"a quotation":                     kubeletEvent(`it says: Failed to pull image "a": 401 Unauthorized`),
		"no image":                        kubeletEvent(`Failed to pull image "": 401 Unauthorized`),
	} {
		if got, ok := FailedPullOf(e); ok {
			t.Errorf("%s was read as %+v", name, got)
		}
	}
	const message = `Failed to pull image "a": 401 Unauthorized`
	for name, change := range map[string]func(*corev1.Event){
		"not the kubelet": func(e *corev1.Event) { e.Source.Component, e.ReportingController = "ci", "ci" },
		"no pod":          func(e *corev1.Event) { e.InvolvedObject.Kind = "Job" },
		"no UID":          func(e *corev1.Event) { e.InvolvedObject.UID = "" },
		"a pod elsewhere": func(e *corev1.Event) { e.InvolvedObject.Namespace = "other" },
		// The API server bounds none of these in every event.
		"a UID of 1 MiB":  func(e *corev1.Event) { e.InvolvedObject.UID = types.UID(strings.Repeat("x", 1<<20)) },
		"a name of 1 MiB": func(e *corev1.Event) { e.InvolvedObject.Name = strings.Repeat("x", 1<<20) },
		"an image of 2 KiB": func(e *corev1.Event) {
			e.Message = strings.Replace(e.Message, `"a"`, `"`+strings.Repeat("a/", 1<<10)+`"`, 1)
		},
		"1 MiB of other paths": func(e *corev1.Event) { e.Message += strings.Repeat(" a/b", 1<<18) },
	} {
		e := kubeletEvent(message)
		change(e)
		if got, ok := FailedPullOf(e); ok {
			t.Errorf("%s: was read as %+v", name, got)
		}
	}
	if _, ok := FailedPullOf(kubeletEvent(message)); !ok {
		t.Error("the event itself was not read")
	}
}

func TestAnImageIsUnderTheKeysThatTheKubeletTakes(t *testing.T) {
	for _, c := range []struct {
		image, key string
		want       bool
	}{
		{ecrImage, "123456789012.dkr.ecr.eu-west-1.amazonaws.com", true},
		{ecrImage, "*.dkr.ecr.eu-west-1.amazonaws.com", true},
		{ecrImage, "*.amazonaws.com", false},
		{ecrImage, "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team", true},
		{ecrImage, "123456789012.dkr.ecr.eu-west-1.amazonaws.com/other", false},
		{ecrImage, "123456789012.dkr.ecr.eu-west-2.amazonaws.com", false},
		{"busybox", "docker.io", true},
		{"busybox", "index.docker.io", true},
		{"team/app:v1", "registry-1.docker.io", true},
		{"docker.io/team/app@sha256:" + strings.Repeat("a", 64), "docker.io", true},
		{"quay.io/team/app", "docker.io", false},
		{"registry.example:5000/app", "registry.example:5000", true},
		{"registry.example:5000/app", "registry.example", false},
		{"registry.example/app", "registry.example:5000", false},
		{"registry.example/app", "registry.example.evil", false},
	} {
		i, ok := ParseImage(c.image)
		if !ok || i.Under(c.key) != c.want {
			t.Errorf("%s under %s: %t, want %t", c.image, c.key, !c.want, c.want)
		}
	}
	for _, none := range []string{"UPPER/../x", "::/0", "registry.example:/app", "registry..example/app", "-registry.example/app", "registry_a.example/app"} {
		if i, ok := ParseImage(none); ok {
			t.Errorf("%q is no reference, and was parsed: %+v", none, i)
		}
	}
	for _, image := range []string{"[::1]:5000/app", "localhost/app", "localhost:5000/app", "Registry.example/app", "10.0.0.1:5000/app"} {
		if _, ok := ParseImage(image); !ok {
			t.Errorf("%q was not parsed", image)
		}
	}
}
