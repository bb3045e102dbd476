package pullsecret

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/regcred/regcred/api/v1alpha1"
)

// FieldManager is the name under which Regcred writes.
const FieldManager = "regcred"

// Owner is the credential that keeps a Secret.
type Owner struct {
	Kind, Name string
	UID        types.UID
	// Template is what is added to the Secret.
	Template Template
	// Retain says that the Secret is to outlive the credential.
	Retain bool
}

func (o Owner) ref() string { return o.Kind + "/" + o.Name }

// reference makes the garbage collector delete the Secret with its credential.
func (o Owner) reference() metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: o.Kind, Name: o.Name, UID: o.UID, Controller: new(true)}
}

// keeps says whether the Secret is kept without an owner reference: garbage collection acts on those while nobody watches, and what was
// lent, or is to be retained, is not ours to delete. What was kept so once stays so.
func (o Owner) keeps(secret metav1.Object) bool {
	if o.Retain {
		return true
	}
	if secret == nil || metav1.GetControllerOf(secret) != nil {
		return false
	}
	annotations := secret.GetAnnotations()
	return annotations[v1alpha1.AnnotationAdopt] == "true" || annotations[v1alpha1.AnnotationKeptBy] != "" && annotations[v1alpha1.AnnotationRetain] != "true"
}

// Held says whether the Secret is held by its owner as it is to be.
func Held(o Owner, secret *metav1.PartialObjectMetadata) bool {
	owner := metav1.GetControllerOf(secret)
	if !o.keeps(secret) {
		return owner != nil && owner.UID == o.UID && secret.Annotations[v1alpha1.AnnotationKeptBy] == ""
	}
	return owner == nil && secret.Annotations[v1alpha1.AnnotationKeptBy] == o.ref() && (secret.Annotations[v1alpha1.AnnotationRetain] == "true") == o.Retain
}

// Kept says whether the Secret is held without an owner reference, and so is given back, and not deleted.
func Kept(secret metav1.Object) bool {
	return metav1.GetControllerOf(secret) == nil && secret.GetAnnotations()[v1alpha1.AnnotationKeptBy] != ""
}

// Retained says whether the Secret and its links outlive its credential.
func Retained(secret metav1.Object) bool {
	return Kept(secret) && secret.GetAnnotations()[v1alpha1.AnnotationRetain] == "true"
}

// GiveBack is the merge patch that takes off a kept Secret what makes it ours, and nothing else.
func GiveBack(secret metav1.Object) ([]byte, error) {
	return json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": secret.GetUID(), "resourceVersion": secret.GetResourceVersion(),
		"labels":      map[string]any{v1alpha1.LabelSecret: nil},
		"annotations": map[string]any{v1alpha1.AnnotationKeptBy: nil, v1alpha1.AnnotationRetain: nil, AnnotationRegistries: nil},
	}})
}

// Ours says whether the Secret was made for this credential, or handed over to it. The UID is not asked for: a credential restored from a
// backup finds its Secrets again. A Secret without any owner is ours if it is as we wrote it.
func Ours(o Owner, secret *metav1.PartialObjectMetadata) bool {
	owner := metav1.GetControllerOf(secret)
	if owner != nil {
		return owner.Kind == o.Kind && owner.Name == o.Name && owner.APIVersion == v1alpha1.GroupVersion.String()
	}
	if keptBy := secret.Annotations[v1alpha1.AnnotationKeptBy]; keptBy != "" {
		return keptBy == o.ref()
	}
	return secret.Labels[v1alpha1.LabelSecret] == v1alpha1.LabelSecretTarget && Intact(secret)
}

// Trusted says whether the Secret's records and content are what we wrote.
func Trusted(o Owner, secret *metav1.PartialObjectMetadata) bool {
	return secret != nil && Ours(o, secret) && Intact(secret)
}

// Intact says whether the Secret's data and its records are what we wrote last: the API server takes a field from its manager when
// somebody else changes it, and gives a new one to whoever adds it. So tampering shows without a token being read. Another manager that
// applies the very same value shares the field and changes nothing. Whoever writes under our name is not seen here: nothing that concerns
// others may rest on it.
func Intact(secret *metav1.PartialObjectMetadata) bool {
	content, records := false, false
	for _, entry := range secret.ManagedFields {
		owned, err := ownedBy(entry)
		if err != nil {
			return false
		}
		for field := range owned.Data {
			if field != "." && field != fieldContent { // "." is the map itself, owned by everyone who owns a key of it
				return false
			}
		}
		if entry.Manager == FieldManager {
			_, holdsContent := owned.Data[fieldContent]
			_, holdsRecords := owned.Metadata.Annotations[fieldRecords]
			content, records = content || holdsContent, records || holdsRecords
		}
	}
	return content && records
}

const (
	fieldContent = "f:" + corev1.DockerConfigJsonKey
	fieldRecords = "f:" + AnnotationRegistries
)

// ownership is what of a manager's fields matters here.
type ownership struct {
	Data     fieldSet `json:"f:data,omitempty"`
	Metadata struct {
		Annotations fieldSet `json:"f:annotations,omitempty"`
	} `json:"f:metadata,omitzero"`
}

type fieldSet map[string]struct{}

// intactFields are the managedFields of every Secret in memory that is as we wrote it. They are shared.
var intactFields = []metav1.ManagedFieldsEntry{{Manager: FieldManager,
	FieldsV1: metav1.NewFieldsV1(`{"f:data":{"` + fieldContent + `":{}},"f:metadata":{"f:annotations":{"` + fieldRecords + `":{}}}}`)}}

// maxManagers bounds whose fields of a Secret are held.
const maxManagers = 16

// Ownership is the part of a Secret's managedFields that Intact looks at, as small as it can be held.
func Ownership(secret *metav1.PartialObjectMetadata) []metav1.ManagedFieldsEntry {
	if Intact(secret) {
		return intactFields
	}
	var kept []metav1.ManagedFieldsEntry
	for _, entry := range secret.ManagedFields {
		owned, err := ownedBy(entry)
		if err != nil {
			return nil
		}
		foreign := false
		for field := range owned.Data {
			if field != "." && field != fieldContent {
				delete(owned.Data, field)
				foreign = true
			}
		}
		if foreign {
			owned.Data["f:"] = struct{}{} // one stands for all of them, however many a tenant adds
		}
		_, records := owned.Metadata.Annotations[fieldRecords]
		owned.Metadata.Annotations = nil
		if records {
			owned.Metadata.Annotations = fieldSet{fieldRecords: {}}
		}
		if len(owned.Data) == 0 && !records {
			continue
		}
		raw, err := json.Marshal(owned)
		if err != nil {
			return nil
		}
		if len(kept) == maxManagers {
			return nil // of which nothing is said is not intact
		}
		kept = append(kept, metav1.ManagedFieldsEntry{Manager: entry.Manager, FieldsV1: metav1.NewFieldsV1(string(raw))})
	}
	return kept
}

// ownedBy returns the fields that an entry's manager owns.
func ownedBy(entry metav1.ManagedFieldsEntry) (owned ownership, err error) {
	if entry.FieldsV1 == nil || entry.Subresource != "" {
		return owned, nil
	}
	err = json.Unmarshal(entry.FieldsV1.GetRawBytes(), &owned)
	return owned, err
}
