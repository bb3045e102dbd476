package cloud

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// User is an IAM user with one access key.
type User struct {
	Account, Name                string
	AccessKeyID, SecretAccessKey string
	// MayGetToken grants ecr:GetAuthorizationToken.
	MayGetToken bool
	// Pull grants the pull actions on repositories: path.Match patterns of account/repository, or "*" alone for every repository.
	Pull []string
	// Public grants what ECR Public asks for.
	Public ECRPublicPermissions
	// TokenLife replaces the life of the tokens of ECR that the user asks for.
	TokenLife time.Duration
}

// ARN names the user as AWS does.
func (u User) ARN() string { return fmt.Sprintf("arn:aws:iam::%s:user/%s", u.Account, u.Name) }

// Role is an IAM role with its trust policy: nobody may assume it but TrustedPrincipals by AssumeRole and WebIdentity by
// AssumeRoleWithWebIdentity.
type Role struct {
	ARN string
	// TrustedPrincipals are ARNs of users and roles, or accounts, by number or as arn:aws:iam::<account>:root.
	TrustedPrincipals []string
	// ExternalID must be presented by AssumeRole, unless it is empty.
	ExternalID  string
	WebIdentity *WebIdentity
	MayGetToken bool
	Pull        []string
	Public      ECRPublicPermissions
}

// WebIdentity is the part of a trust policy that names an OpenID Connect identity. An empty field accepts every value.
type WebIdentity struct {
	Issuer, Subject, Audience string
}

// caller is whoever holds an access key: a user, or a session of a role.
type caller struct {
	arn      string
	userID   string
	account  string
	identity string // ARN of the user or role whose permissions and trust count
	session  bool
}

type accessKey struct {
	secret, sessionToken string
	caller               caller
	expires              time.Time // zero for a user's key
}

type permissions struct {
	mayGetToken bool
	pull        []string
	public      ECRPublicPermissions
	tokenLife   time.Duration
}

// iam holds the identities of all accounts.
type iam struct {
	mu          sync.Mutex
	roles       map[string]Role
	permissions map[string]permissions
	keys        map[string]accessKey
}

func newIAM() *iam {
	return &iam{roles: map[string]Role{}, permissions: map[string]permissions{}, keys: map[string]accessKey{}}
}

func (i *iam) addUser(u User) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.permissions[u.ARN()] = permissions{mayGetToken: u.MayGetToken, pull: u.Pull, public: u.Public, tokenLife: u.TokenLife}
	i.keys[u.AccessKeyID] = accessKey{
		secret: u.SecretAccessKey,
		caller: caller{arn: u.ARN(), userID: "AIDA" + strings.TrimPrefix(u.AccessKeyID, "AKIA"), account: u.Account, identity: u.ARN()},
	}
}

func (i *iam) addRole(r Role) error {
	if parsed, err := arn.Parse(r.ARN); err != nil || !strings.HasPrefix(parsed.Resource, "role/") {
		return fmt.Errorf("%q is not the ARN of a role", r.ARN)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.roles[r.ARN] = r
	i.permissions[r.ARN] = permissions{mayGetToken: r.MayGetToken, pull: r.Pull, public: r.Public}
	return nil
}

func (i *iam) setPermissions(identity string, p permissions) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	before, ok := i.permissions[identity]
	if !ok {
		return fmt.Errorf("no user or role %q", identity)
	}
	p.tokenLife = before.tokenLife
	i.permissions[identity] = p
	return nil
}

// remove deletes an identity with its access keys. Registry tokens that it minted stay valid, and are allowed nothing any more.
func (i *iam) remove(identity string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.roles, identity)
	delete(i.permissions, identity)
	for id, key := range i.keys {
		if key.caller.identity == identity {
			delete(i.keys, id)
		}
	}
}

func (i *iam) role(roleARN string) (Role, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	role, ok := i.roles[roleARN]
	return role, ok
}

func (i *iam) key(accessKeyID string) (accessKey, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	key, ok := i.keys[accessKeyID]
	return key, ok
}

func (i *iam) mayGetToken(identity string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.permissions[identity].mayGetToken
}

// tokenLife is the life of a token that the identity asks for.
func (i *iam) tokenLife(identity string, usual time.Duration) time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	return cmp.Or(i.permissions[identity].tokenLife, usual)
}

func (i *iam) mayPull(identity, account, repository string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.ContainsFunc(i.permissions[identity].pull, func(pattern string) bool {
		if pattern == "*" {
			return true
		}
		matched, err := path.Match(pattern, account+"/"+repository)
		return err == nil && matched
	})
}

// newSession issues temporary keys for a role. The role may be gone by then, as in AWS between the check and the issue.
func (i *iam) newSession(role Role, sessionName string, expires time.Time) (accessKeyID string, key accessKey) {
	parsed, _ := arn.Parse(role.ARN) // checked by addRole
	name := path.Base(parsed.Resource)
	accessKeyID = "ASIA" + newKeyID()
	key = accessKey{
		secret:       newSecret(CanarySTS, 24),
		sessionToken: newSecret(CanarySTS, 256),
		expires:      expires,
		caller: caller{
			arn:      fmt.Sprintf("arn:%s:sts::%s:assumed-role/%s/%s", parsed.Partition, parsed.AccountID, name, sessionName),
			userID:   "AROA" + strings.ToUpper(name) + ":" + sessionName,
			account:  parsed.AccountID,
			identity: role.ARN,
			session:  true,
		},
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys[accessKeyID] = key
	return accessKeyID, key
}

func (r Role) trusts(c caller) bool {
	return slices.ContainsFunc(r.TrustedPrincipals, func(principal string) bool {
		switch principal {
		case c.arn, c.identity, c.account, "arn:aws:iam::" + c.account + ":root":
			return true
		}
		return false
	})
}

// newKeyID returns the 16 characters that follow the prefix of an AWS unique identifier.
func newKeyID() string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	id := randomData(16)
	for n, b := range id {
		id[n] = alphabet[int(b)%len(alphabet)]
	}
	return string(id)
}
