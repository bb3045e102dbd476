package cloud

import (
	"crypto/sha256"
	"path"
	"slices"
	"strconv"
	"time"
)

const (
	// hubAnonymous is the principal of a client without credentials.
	hubAnonymous = ""
	// hubWindow and hubAnonymousLimit are those of Docker's "Pull usage and limits".
	hubWindow         = 6 * time.Hour
	hubAnonymousLimit = 100
)

// hubAccount is what the Hub knows of a user.
type hubAccount struct {
	token [sha256.Size]byte
	pull  []string
	limit int
	// pulls are the times of the pulls that count.
	pulls []time.Time
}

// AddUser adds a user or replaces the one of this name, and returns a new personal access token.
func (h *DockerHub) AddUser(u HubUser) (token string) {
	token = newSecret(hubTokenPrefix+CanaryDockerHub, 20)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.users[u.Name] = &hubAccount{token: sha256.Sum256([]byte(token)), pull: u.Pull, limit: u.PullLimit}
	return token
}

// RemoveUser deletes a user. Bearer tokens given out already are allowed nothing any more.
func (h *DockerHub) RemoveUser(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.users, name)
}

// Publish makes repositories public: path.Match patterns.
func (h *DockerHub) Publish(repositories ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.public = append(h.public, repositories...)
}

func (h *DockerHub) knows(name, token string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	account, ok := h.users[name]
	return ok && account.token == sha256.Sum256([]byte(token))
}

func (h *DockerHub) mayPull(name, repository string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	account, ok := h.users[name]
	if !ok {
		return false
	}
	return slices.ContainsFunc(slices.Concat(account.pull, h.public), func(pattern string) bool {
		matched, err := path.Match(pattern, repository)
		return pattern == "*" || err == nil && matched
	})
}

// quota is what is left of a user's pulls; a pull that is to be counted takes one. The limit is 0 if there is none.
func (h *DockerHub) quota(name string, count bool) (limit, remaining int, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	account, known := h.users[name]
	if !known || account.limit == 0 {
		return 0, 0, true
	}
	now := h.clock.now()
	account.pulls = slices.DeleteFunc(account.pulls, func(at time.Time) bool { return now.Sub(at) >= hubWindow })
	remaining = account.limit - len(account.pulls)
	if count && remaining <= 0 {
		return account.limit, 0, false
	}
	if count {
		account.pulls = append(account.pulls, now)
		remaining--
	}
	return account.limit, remaining, true
}

// inWindow is a number of pulls as the rate limit headers say it.
func inWindow(n int) string { return strconv.Itoa(n) + ";w=" + strconv.Itoa(int(hubWindow.Seconds())) }
