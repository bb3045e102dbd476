package v1alpha1

// The causes of a failed pull that a credential could have prevented. They are the reasons of events on the pod and on the credential,
// and the label cause of regcred_pull_failures_total.
const (
	// CauseNotCovered: no credential of the namespace has a token for the image's registry.
	CauseNotCovered = "NotCovered"
	// CauseTokenMissing: the Secret is not there, or lacks the token of an entry.
	CauseTokenMissing = "TokenMissing"
	// CauseTokenExpired: the token in the Secret has expired.
	CauseTokenExpired = "TokenExpired"
	// CauseTokenRefused: the registry does not take the token in the Secret; it is replaced.
	CauseTokenRefused = "TokenRefused"
	// CausePullDenied: the registry takes the token, and does not let it pull this repository.
	CausePullDenied = "PullDenied"
	// CausePodNamesOwnSecrets: the pod lists imagePullSecrets of its own, and the Secret is none of them.
	CausePodNamesOwnSecrets = "PodNamesOwnSecrets"
	// CausePodBeforeLink: the pod was created before its ServiceAccount was linked.
	CausePodBeforeLink = "PodBeforeLink"
	// CauseNotLinked: the pod's ServiceAccount does not have the Secret.
	CauseNotLinked = "ServiceAccountNotLinked"
	// CausePullAllowed: the Secret can pull the image by now.
	CausePullAllowed = "PullAllowed"
	// CauseUndecided: the registry could not be asked.
	CauseUndecided = "Undecided"
)

// The causes of a failed pull that no credential could have prevented: they are counted.
const (
	// CauseImageNotFound: the registry has no such image.
	CauseImageNotFound = "ImageNotFound"
	// CauseRateLimited: the registry or the node asks for patience.
	CauseRateLimited = "RateLimited"
	// CauseUnreachable: the node does not reach the registry.
	CauseUnreachable = "Unreachable"
	// CauseUntrusted: the node does not trust the registry's certificate.
	CauseUntrusted = "Untrusted"
	// CauseRegistryFailing: the registry answers with an error of its own.
	CauseRegistryFailing = "RegistryFailing"
	// CauseOther is everything else.
	CauseOther = "Other"
)

// The reasons of events of evictions.
const (
	// EventEvicted: a pod was evicted, so that its owner creates it anew with the link.
	EventEvicted = "EvictedToPull"
	// EventEvictionHeld: a PodDisruptionBudget, or the controller's own RBAC rules, do not let the pod be evicted.
	EventEvictionHeld = "EvictionHeld"
)
