package v1alpha1

// Labels and annotations that users set.
const (
	// AnnotationRefreshRequestedAt on a credential refreshes every token once whenever its value changes.
	AnnotationRefreshRequestedAt = "regcred.dev/refresh-requested-at"
	// AnnotationAdopt with the value "true" on a Secret that is not ours is its owner's consent to overwrite it. It stays there as
	// long as the Secret is kept, and says that the Secret is given back, and not deleted, in the end.
	AnnotationAdopt = "regcred.dev/adopt"
	// LabelLink with the value LabelLinkNever on a ServiceAccount, or on its namespace, asks that Regcred link it to nothing.
	LabelLink      = "regcred.dev/link"
	LabelLinkNever = "false"
)

// FieldManager is the name under which Regcred writes.
const FieldManager = "regcred"

// Labels and annotations that Regcred sets.
const (
	// LabelSecret is on every Secret that Regcred watches; its value says what the Secret is.
	LabelSecret = "regcred.dev/secret"
	// LabelSecretTarget is the value of LabelSecret on a Secret that Regcred keeps.
	LabelSecretTarget = "target"
	// LabelSecretIdentity is the value of LabelSecret on a Secret that an identity or an override may refer to. Its owner sets it.
	LabelSecretIdentity = "identity"
	// AnnotationKeptBy on a Secret without our owner reference names the credential that keeps it, as <Kind>/<name>.
	AnnotationKeptBy = "regcred.dev/kept-by"
	// AnnotationRetain with the value "true" marks a Secret that stays when its credential is deleted.
	AnnotationRetain = "regcred.dev/retain"
	// AnnotationLinkPrefix and the Secret's name, on a ServiceAccount, record a link that Regcred made. The value is
	// <Kind>/<name> of the credential; a Kind alone is that of a credential of the Secret's name.
	AnnotationLinkPrefix = "link.regcred.dev/"
)
