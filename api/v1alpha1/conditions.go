package v1alpha1

// The conditions of a credential. Both kinds have the same.
const (
	// ConditionReady answers: can pods pull? It stays True while a refresh fails and the published token lives.
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
	// ReasonNoTargets: no namespace is selected, so nothing is missing.
	ReasonNoTargets = "NoTargets"
)

// The reasons of Ready=False; an entry or a namespace carries the same reason in status.
const (
	// ReasonProgressing: targets are being served for the first time.
	ReasonProgressing = "Progressing"
	// ReasonExpired: a published token has expired and could not be refreshed.
	ReasonExpired = "Expired"
	// ReasonSecretConflict: a Secret of the credential's name exists and is not ours.
	ReasonSecretConflict = "SecretConflict"
	// ReasonSecretRejected: the API server refused the Secret.
	ReasonSecretRejected = "SecretRejected"
	// ReasonLinkFailed: a ServiceAccount could not be linked.
	ReasonLinkFailed = "LinkFailed"
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
	// ReasonIdentityInvalid: the identity lacks a key or an annotation that the provider needs.
	ReasonIdentityInvalid = "IdentityInvalid"
	// ReasonAccessDenied: the cloud knows the identity and refuses it.
	ReasonAccessDenied = "AccessDenied"
	// ReasonThrottled: the cloud asks for patience.
	ReasonThrottled = "Throttled"
	// ReasonUnavailable: the cloud failed or could not be reached.
	ReasonUnavailable = "Unavailable"
	// ReasonInvalidRequest: the cloud cannot make sense of the entry.
	ReasonInvalidRequest = "InvalidRequest"
	// ReasonInvalidResponse: the cloud's answer makes no sense.
	ReasonInvalidResponse = "InvalidResponse"
	// ReasonVerificationFailed: the registry refuses the new token for the repository that verify names; it is not published.
	ReasonVerificationFailed = "VerificationFailed"
	// ReasonNotRenewed: the cloud hands out the token that is in use instead of a new one.
	ReasonNotRenewed = "NotRenewed"
	// ReasonInternal: a fault of Regcred or of the API server.
	ReasonInternal = "Internal"
)

// Labels and annotations that users meet.
const (
	// AnnotationRefreshRequestedAt on a credential refreshes every token once whenever its value changes.
	AnnotationRefreshRequestedAt = "regcred.dev/refresh-requested-at"
	// AnnotationAdopt with the value "true" on a Secret that is not ours is its owner's consent to overwrite it.
	AnnotationAdopt = "regcred.dev/adopt"
	// AnnotationLinkPrefix and the credential's name, on a ServiceAccount, record a link that Regcred made.
	AnnotationLinkPrefix = "link.regcred.dev/"
	// LabelSecret is on every Secret that Regcred watches; its value says what the Secret is.
	LabelSecret = "regcred.dev/secret"
	// LabelSecretTarget is the value of LabelSecret on a Secret that Regcred keeps.
	LabelSecretTarget = "target"
	// LabelSecretIdentity is the value of LabelSecret on a Secret that an identity refers to.
	LabelSecretIdentity = "identity"
)
