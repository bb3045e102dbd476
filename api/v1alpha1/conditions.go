package v1alpha1

// The conditions of a credential. Both kinds have the same.
const (
	// ConditionReady answers: can pods pull? It stays True while a refresh fails and the published token lives, and is Unknown while
	// a suspended credential has never been served.
	ConditionReady = "Ready"
	// ConditionStalled is True when only a change of the spec can help, and absent otherwise.
	ConditionStalled = "Stalled"
)

// The reasons of Ready=True.
const (
	// ReasonCurrent: every target holds a live token for every registry.
	ReasonCurrent = "Current"
	// ReasonRefreshFailing: every token lives, but one cannot be refreshed; the entry's reason says why.
	ReasonRefreshFailing = "RefreshFailing"
	// ReasonPartial: the credential works, and some of its namespaces have a fault of their own; failures names them.
	ReasonPartial = "Partial"
	// ReasonNoTargets: no namespace is selected, so nothing is missing.
	ReasonNoTargets = "NoTargets"
)

// ReasonSuspended is that of Ready while spec.suspend is true, whatever its status: True while the published tokens live, False once
// one has expired, Unknown if there never was one.
const ReasonSuspended = "Suspended"

// The reasons of Ready=False; an entry or a namespace carries the same reason in status.
const (
	// ReasonProgressing: targets are being served for the first time.
	ReasonProgressing = "Progressing"
	// ReasonExpired: a published token has expired and could not be refreshed.
	ReasonExpired = "Expired"
	// ReasonSecretConflict: a Secret of that name exists and is not ours, or is another credential's.
	ReasonSecretConflict = "SecretConflict"
	// ReasonSecretRejected: the API server refused the Secret.
	ReasonSecretRejected = "SecretRejected"
	// ReasonLinkFailed: a ServiceAccount could not be linked.
	ReasonLinkFailed = "LinkFailed"
	// ReasonContended: somebody else changes the Secret or the links again and again; they are repaired ever more rarely.
	ReasonContended = "Contended"
	// ReasonNamespaceExcluded: the administrator excludes the namespace.
	ReasonNamespaceExcluded = "NamespaceExcluded"
	// ReasonNameNotServed: the administrator limits the names of Secrets, and the credential's is not among them.
	ReasonNameNotServed = "NameNotServed"
	// ReasonAmbientIdentityNotAllowed: the entry names no identity and may not use the controller's own.
	ReasonAmbientIdentityNotAllowed = "AmbientIdentityNotAllowed"
	// ReasonDuplicateHost: two entries claim one registry host.
	ReasonDuplicateHost = "DuplicateHost"
	// ReasonIdentityNotFound: the ServiceAccount or Secret of the identity does not exist.
	ReasonIdentityNotFound = "IdentityNotFound"
	// ReasonIdentityInvalid: the identity lacks a label, a key or an annotation that is needed.
	ReasonIdentityInvalid = "IdentityInvalid"
	// ReasonAccessDenied: the cloud knows the identity and refuses it.
	ReasonAccessDenied = "AccessDenied"
	// ReasonThrottled: the cloud asks for patience.
	ReasonThrottled = "Throttled"
	// ReasonUnavailable: the cloud failed or could not be reached.
	ReasonUnavailable = "Unavailable"
	// ReasonInvalidRequest: the cloud rejects the entry as invalid.
	ReasonInvalidRequest = "InvalidRequest"
	// ReasonInvalidResponse: the cloud's answer cannot be parsed.
	ReasonInvalidResponse = "InvalidResponse"
	// ReasonVerificationFailed: the registry refuses the new token for the repository that verify names; it is not published.
	ReasonVerificationFailed = "VerificationFailed"
	// ReasonNotRenewed: the cloud hands out the token that is in use instead of a new one.
	ReasonNotRenewed = "NotRenewed"
	// ReasonOverrideInvalid: the entry's override cannot be used, so that its provider's token stays in use.
	ReasonOverrideInvalid = "OverrideInvalid"
	// ReasonTokenRefused: the registry refuses the login, and only whoever keeps it can replace it.
	ReasonTokenRefused = "TokenRefused"
	// ReasonInternal: a fault of Regcred or of the API server.
	ReasonInternal = "Internal"
)

// ReasonOverridden is that of an entry whose override is published instead of its provider's token. It is no failure.
const ReasonOverridden = "Overridden"
