package cloud

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// JFrogUser is a user of the platform.
type JFrogUser struct {
	Name   string
	Groups []string
	// Admin may create and revoke tokens of others, and read every repository.
	Admin bool
}

// JFrogProvider is an OpenID Connect integration: an issuer whose tokens are exchanged.
type JFrogProvider struct {
	Name, Issuer string
	// Audience is what a token's must be; empty for any.
	Audience string
	// Mappings are tried in their order, as by their priorities.
	Mappings []JFrogIdentityMapping
}

// JFrogIdentityMapping says which claims get a token of which user or groups.
type JFrogIdentityMapping struct {
	Name string
	// Claims must all be those of the token.
	Claims map[string]string
	// Username is the user that the token is for, if the scope is the user's.
	Username string
	// Scope is applied-permissions/user if empty.
	Scope string
	// ExpiresIn is an hour if zero, as in JFrog.
	ExpiresIn time.Duration
	// ProjectKey limits the mapping to exchanges for this project.
	ProjectKey string
}

// AddUser adds a user or replaces the one of the same name.
func (j *JFrog) AddUser(u JFrogUser) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.users[u.Name] = u
}

// SetReadable says which repositories of Artifactory a group may read from, for its live tokens too.
func (j *JFrog) SetReadable(group string, repositories ...string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.readable[group] = repositories
}

// ServePort gives a repository of Artifactory a port of the platform's host.
func (j *JFrog) ServePort(port, repository string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ports[port] = repository
}

// AddProvider adds an integration or replaces the one of the same name.
func (j *JFrog) AddProvider(p JFrogProvider) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.providers[p.Name] = p
}

// CreateToken makes a token as the user would in the platform's own pages.
func (j *JFrog) CreateToken(username string, life time.Duration) (password string, token JFrogToken) {
	return j.tokens.mint(JFrogToken{Username: username, Scope: jfrogUserScope, ExpiresAt: j.clock.now().Add(life), stored: true})
}

// Tokens lists the tokens ever issued, oldest first.
func (j *JFrog) Tokens() []JFrogToken { return j.tokens.all() }

// LiveTokens counts the tokens that are neither expired nor revoked.
func (j *JFrog) LiveTokens() int {
	n := 0
	for _, token := range j.tokens.all() {
		if token.live(j.clock.now()) {
			n++
		}
	}
	return n
}

// IsLive reports whether the platform takes this password.
func (j *JFrog) IsLive(password string) bool {
	token, ok := j.tokens.find(password)
	return ok && token.live(j.clock.now())
}

// Revoke ends the token with this ID, as an administrator would, and reports whether there was one.
func (j *JFrog) Revoke(id string) bool { return j.tokens.revoke(id) }

func (j *JFrog) user(name string) (JFrogUser, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	u, ok := j.users[name]
	return u, ok
}

func (j *JFrog) provider(name string) (JFrogProvider, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p, ok := j.providers[name]
	return p, ok
}

// mayRead says whether a token may read from a repository of Artifactory, at the moment of the pull.
func (j *JFrog) mayRead(token JFrogToken, repository string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	groups, ok := jfrogGroups(token.Scope)
	if !ok {
		u := j.users[token.Username]
		if u.Admin {
			return true
		}
		groups = u.Groups
	}
	return slices.ContainsFunc(groups, func(group string) bool { return slices.Contains(j.readable[group], repository) })
}

// jfrogSaaS is the domain of JFrog's own platforms: a certificate for it covers one label.
const jfrogSaaS = ".jfrog.io"

// subDomain is the repository that a host, without port, names: <instance>-<repository> at jfrog.io, and one label below the platform's
// host on a domain of one's own ("Docker Repository URL Formats" of JFrog's help centre).
func (j *JFrog) subDomain(host string) (repository string, ok bool) {
	if instance, ok := strings.CutSuffix(j.options.Host, jfrogSaaS); ok {
		name, saas := strings.CutSuffix(host, jfrogSaaS)
		repository, ok = strings.CutPrefix(name, instance+"-")
		return repository, ok && saas && !strings.Contains(repository, ".")
	}
	repository, parent, _ := strings.Cut(host, ".")
	return repository, parent == j.options.Host
}

// isHost says whether a host, without port, is the platform's or one of its repositories'.
func (j *JFrog) isHost(host string) bool {
	_, ok := j.subDomain(host)
	return ok || host == j.options.Host
}

const jfrogUserScope = "applied-permissions/user"

// jfrogGroups are the groups that a scope names, separated by commas and perhaps in quotes; false if the scope is another.
func jfrogGroups(scope string) ([]string, bool) {
	list, ok := strings.CutPrefix(scope, "applied-permissions/groups:")
	if !ok {
		return nil, false
	}
	groups := strings.Split(list, ",")
	for i, group := range groups {
		groups[i] = strings.Trim(strings.TrimSpace(group), `"`)
	}
	return groups, true
}

// checkScope refuses what is no scope, and the user's scope for a user who does not exist: a token of groups needs no user.
func (j *JFrog) checkScope(username, scope string) error {
	if _, ok := jfrogGroups(scope); ok {
		return nil
	}
	if scope != jfrogUserScope {
		return fmt.Errorf("unknown scope %q", scope)
	}
	if _, ok := j.user(username); !ok {
		return fmt.Errorf("there is no user %q", username)
	}
	return nil
}
