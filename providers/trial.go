package providers

// Pull names what a trial asks for: a manifest, as an image reference does.
type Pull struct {
	Host, Repository, Reference string
}

// Verdict is how a trial has ended.
type Verdict struct {
	Result Result
	// Answer is the registry's, in short and in no words of its own; empty if the pull is allowed.
	Answer string
	// Cure is how the provider's users allow a pull.
	Cure string
}

// Result is what a trial has found out.
type Result int

// The results of a trial.
const (
	// PullAllowed: the login may pull. Whether the image exists does not matter.
	PullAllowed Result = iota
	// PullDenied: the registry knows the login, and does not let it pull this repository.
	PullDenied
	// LoginRefused: the registry does not take the login for anything. It has expired, or was revoked.
	LoginRefused
)
