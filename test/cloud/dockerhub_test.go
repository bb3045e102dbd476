package cloud

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

const hubKey = "https://index.docker.io/v1/"

func startHub(t *testing.T, opts DockerHubOptions) *DockerHub {
	t.Helper()
	return started(t, StartDockerHub, opts)
}

func TestDockerHubPulls(t *testing.T) {
	h := startHub(t, DockerHubOptions{})
	token := h.AddUser(HubUser{Name: "ci", Pull: []string{"team/*"}})
	old := h.AddUser(HubUser{Name: "gone", Pull: []string{"*"}})
	h.RemoveUser("gone")
	rotated := h.AddUser(HubUser{Name: "rotated", Pull: []string{"*"}})
	h.AddUser(HubUser{Name: "rotated", Pull: []string{"*"}})
	h.Publish("library/*")
	if !strings.HasPrefix(token, "dckr_pat_") || !ContainsCanary([]byte(token)) {
		t.Error("the token lacks Hub's prefix or the canary")
	}
	for _, repository := range []string{"team/app", "other/app", "library/nginx"} {
		if _, err := h.SeedImage(repository, "v1"); err != nil {
			t.Fatal(err)
		}
	}
	none := []byte(`{"auths":{}}`)
	for what, c := range map[string]struct {
		config []byte
		image  string
		status int
	}{
		"permitted":            {dockerConfig(t, hubKey, "ci", token), "docker.io/team/app:v1", 0},
		"without host":         {dockerConfig(t, hubKey, "ci", token), "team/app:v1", 0},
		"official":             {dockerConfig(t, hubKey, "ci", token), "nginx:v1", 0},
		"not permitted":        {dockerConfig(t, hubKey, "ci", token), "docker.io/other/app:v1", http.StatusUnauthorized},
		"wrong token":          {dockerConfig(t, hubKey, "ci", "dckr_pat_guess"), "docker.io/team/app:v1", http.StatusUnauthorized},
		"another user's":       {dockerConfig(t, hubKey, "rotated", token), "docker.io/team/app:v1", http.StatusUnauthorized},
		"without username":     {dockerConfig(t, hubKey, "", token), "docker.io/team/app:v1", http.StatusUnauthorized},
		"removed user":         {dockerConfig(t, hubKey, "gone", old), "docker.io/team/app:v1", http.StatusUnauthorized},
		"rotated token":        {dockerConfig(t, hubKey, "rotated", rotated), "docker.io/team/app:v1", http.StatusUnauthorized},
		"anonymous, private":   {none, "docker.io/team/app:v1", http.StatusUnauthorized},
		"anonymous, public":    {none, "docker.io/library/nginx:v1", 0},
		"key of the web page":  {dockerConfig(t, "docker.io", "ci", token), "docker.io/team/app:v1", 0},
		"key with a path":      {dockerConfig(t, "docker.io/team", "ci", token), "docker.io/team/app:v1", 0},
		"key of another path":  {dockerConfig(t, "docker.io/other", "ci", token), "docker.io/team/app:v1", http.StatusUnauthorized},
		"key of another place": {dockerConfig(t, "ghcr.io", "ci", token), "docker.io/team/app:v1", http.StatusUnauthorized},
	} {
		t.Run(what, func(t *testing.T) {
			_, err := Pull(t.Context(), h.Transport(), c.config, c.image)
			if c.status != 0 {
				wantRefusal(t, err, c.status, "")
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	wantCount(t, "manifests pulled", h.Calls().PullsAccepted(), 6)
}

func TestDockerHubLimitsPulls(t *testing.T) {
	clock := newFakeClock()
	h := startHub(t, DockerHubOptions{Clock: clock.Now})
	config := dockerConfig(t, hubKey, "ci", h.AddUser(HubUser{Name: "ci", Pull: []string{"*"}, PullLimit: 2}))
	if _, err := h.SeedImage("team/app", "v1"); err != nil {
		t.Fatal(err)
	}
	pull := func() error {
		_, err := Pull(t.Context(), h.Transport(), config, "docker.io/team/app:v1")
		return err
	}
	for range 2 {
		if err := pull(); err != nil {
			t.Fatal(err)
		}
	}
	wantRefusal(t, pull(), http.StatusTooManyRequests, "pull rate limit")
	clock.Step(6 * time.Hour)
	if err := pull(); err != nil {
		t.Errorf("after six hours: %v", err)
	}
	if got := h.remaining(t, config); got != "1;w=21600" {
		t.Errorf("remaining: %q, want 1 in six hours", got)
	}
}

// remaining asks as Docker's documentation says, by a HEAD, which does not count.
func (h *DockerHub) remaining(t *testing.T, config []byte) string {
	t.Helper()
	ref, err := name.ParseReference("docker.io/team/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	credentials, err := credentialsFor(config, ref)
	if err != nil || len(credentials) != 1 {
		t.Fatalf("%d credentials, %v", len(credentials), err)
	}
	repository := ref.Context()
	rt, err := transport.NewWithContext(t.Context(), repository.Registry, credentials[0], h.Transport(), []string{repository.Scope(transport.PullScope)})
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Transport: rt}).Head("https://index.docker.io/v2/team/app/manifests/v1") //nolint:noctx // the server is the test's own
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := res.Header.Get("Ratelimit-Limit"); got != "2;w=21600" || res.StatusCode != http.StatusOK {
		t.Errorf("status %d, limit %q", res.StatusCode, got)
	}
	return res.Header.Get("Ratelimit-Remaining")
}

func TestDockerHubsChallengeAndRealm(t *testing.T) {
	h := startHub(t, DockerHubOptions{})
	h.Publish("*/*")
	if _, err := h.SeedImage("team/app", "v1"); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: h.Transport()}
	res, err := client.Get("https://registry-1.docker.io/v2/") //nolint:noctx // the server is the test's own
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	const want = `Bearer realm="https://auth.docker.io/token",service="registry.docker.io"`
	if got := res.Header.Get("WWW-Authenticate"); got != want || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d, %s, want %s", res.StatusCode, got, want)
	}
	// A password is worth nothing without the realm.
	token := h.AddUser(HubUser{Name: "ci", Pull: []string{"*"}})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://registry-1.docker.io/v2/team/app/manifests/v1", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("ci", token)
	refused, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer refused.Body.Close()
	if refused.StatusCode != http.StatusUnauthorized {
		t.Errorf("Basic was answered with %d", refused.StatusCode)
	}
}

func TestDockerHubTakesALoginFromAForm(t *testing.T) {
	h := startHub(t, DockerHubOptions{})
	password := h.AddUser(HubUser{Name: "ci", Pull: []string{"team/*"}})
	if _, err := h.SeedImage("team/app", "v1"); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: h.Transport()}
	defer client.CloseIdleConnections()
	for what, c := range map[string]struct {
		grant, password string
		status          int
	}{
		"good":           {"password", password, http.StatusOK},
		"wrong password": {"password", "dckr_pat_guess", http.StatusUnauthorized},
		"another grant":  {"refresh_token", password, http.StatusBadRequest},
	} {
		t.Run(what, func(t *testing.T) {
			form := url.Values{
				"grant_type": {c.grant}, "service": {"registry.docker.io"}, "scope": {"repository:other/app:pull repository:team/app:pull"},
				"username": {"ci"}, "password": {c.password},
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://auth.docker.io/token", strings.NewReader(form.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			var answer struct {
				AccessToken string `json:"access_token"`
			}
			if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != c.status {
				t.Fatalf("status %d, %v, want %d", res.StatusCode, err, c.status)
			}
			if c.status != http.StatusOK {
				return
			}
			for repository, want := range map[string]int{"team/app": http.StatusOK, "other/app": http.StatusUnauthorized} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, "https://registry-1.docker.io/v2/"+repository+"/manifests/v1", http.NoBody)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Authorization", "Bearer "+answer.AccessToken)
				res, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = res.Body.Close()
				if res.StatusCode != want {
					t.Errorf("%s: status %d, want %d", repository, res.StatusCode, want)
				}
			}
		})
	}
}
