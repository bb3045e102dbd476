package pullsecret

import (
	"bytes"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/regcred/regcred/api/v1alpha1"
)

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

// keepsUnowned says whether the Secret is kept without an owner reference: garbage collection acts on those while nobody watches, and what was
// lent, or is to be retained, is not ours to delete. What was kept so once stays so.
func (o Owner) keepsUnowned(secret metav1.Object) bool {
	if o.Retain {
		return true
	}
	if secret == nil || metav1.GetControllerOfNoCopy(secret) != nil {
		return false
	}
	annotations := secret.GetAnnotations()
	return annotations[v1alpha1.AnnotationAdopt] == "true" || annotations[v1alpha1.AnnotationKeptBy] != "" && annotations[v1alpha1.AnnotationRetain] != "true"
}

// OwnedAs says whether the Secret says of its owner, and of how it is kept, what it is to say.
func OwnedAs(o Owner, secret *metav1.PartialObjectMetadata) bool {
	owner := metav1.GetControllerOfNoCopy(secret)
	if !o.keepsUnowned(secret) {
		return owner != nil && owner.UID == o.UID && secret.Annotations[v1alpha1.AnnotationKeptBy] == ""
	}
	return owner == nil && secret.Annotations[v1alpha1.AnnotationKeptBy] == o.ref() && (secret.Annotations[v1alpha1.AnnotationRetain] == "true") == o.Retain
}

// Kept says whether the Secret is held without an owner reference, and so is given back, and not deleted.
func Kept(secret metav1.Object) bool {
	return metav1.GetControllerOfNoCopy(secret) == nil && secret.GetAnnotations()[v1alpha1.AnnotationKeptBy] != ""
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
	owner := metav1.GetControllerOfNoCopy(secret)
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
	if asHeld(secret.ManagedFields) {
		return true
	}
	all, ok := managers(secret)
	return ok && intact(all)
}

// asHeld says whether they are intactFields, or a copy: then there is nothing to be read.
func asHeld(fields []metav1.ManagedFieldsEntry) bool {
	if len(fields) != 1 {
		return false
	}
	held, f := intactFields[0], fields[0]
	return f.Manager == held.Manager && f.Subresource == "" && bytes.Equal(f.FieldsV1.GetRawBytes(), held.FieldsV1.GetRawBytes())
}

func intact(all []manager) bool {
	content, records := false, false
	for _, m := range all {
		for field := range m.Data {
			if field != "." && field != fieldContent { // "." is the map itself, owned by everyone who owns a key of it
				return false
			}
		}
		if m.name == v1alpha1.FieldManager {
			_, holdsContent := m.Data[fieldContent]
			_, holdsRecords := m.Metadata.Annotations[fieldRecords]
			content, records = content || holdsContent, records || holdsRecords
		}
	}
	return content && records
}

const (
	fieldContent = "f:" + corev1.DockerConfigJsonKey
	fieldRecords = "f:" + AnnotationRegistries
)

// manager is whoever has written fields, and what of these matters here.
type manager struct {
	name string
	ownership
}

type ownership struct {
	Data     fieldSet `json:"f:data,omitempty"`
	Metadata struct {
		Annotations fieldSet `json:"f:annotations,omitempty"`
	} `json:"f:metadata,omitzero"`
}

type fieldSet map[string]struct{}

// intactFields are the managedFields of every Secret in memory that is as we wrote it. They are shared.
var intactFields = []metav1.ManagedFieldsEntry{{Manager: v1alpha1.FieldManager,
	FieldsV1: metav1.NewFieldsV1(`{"f:data":{"` + fieldContent + `":{}},"f:metadata":{"f:annotations":{"` + fieldRecords + `":{}}}}`)}}

const (
	// maxManagers bounds whose fields of a Secret are held.
	maxManagers = 16
	// maxFields bounds the bytes of managedFields that are read of one Secret: a megabyte of a tenant's takes long, at each change of it.
	maxFields = 64 << 10
)

// ownershipOf is the part of a Secret's managedFields that Intact looks at, as small as it can be held. A Secret without managers counts as not intact.
func ownershipOf(secret *metav1.PartialObjectMetadata) []metav1.ManagedFieldsEntry {
	all, ok := managers(secret)
	switch {
	case !ok:
		return nil
	case intact(all):
		return intactFields
	}
	var kept []metav1.ManagedFieldsEntry
	for _, m := range all {
		foreign := false
		for field := range m.Data {
			if field != "." && field != fieldContent {
				delete(m.Data, field)
				foreign = true
			}
		}
		if foreign {
			m.Data["f:"] = struct{}{} // one stands for all of them, however many a tenant adds
		}
		_, records := m.Metadata.Annotations[fieldRecords]
		m.Metadata.Annotations = nil
		if records {
			m.Metadata.Annotations = fieldSet{fieldRecords: {}}
		}
		if len(m.Data) == 0 && !records {
			continue
		}
		raw, err := json.Marshal(m.ownership)
		if err != nil || len(kept) == maxManagers {
			return nil
		}
		kept = append(kept, metav1.ManagedFieldsEntry{Manager: m.name, FieldsV1: metav1.NewFieldsV1(string(raw))})
	}
	return kept
}

// managers reads who owns what of a Secret. ok is whether that can be read.
func managers(secret *metav1.PartialObjectMetadata) (all []manager, ok bool) {
	var size int64
	for _, entry := range secret.ManagedFields {
		if entry.FieldsV1 == nil || entry.Subresource != "" {
			continue
		}
		if size += entry.FieldsV1.GetRawReader().Size(); size > maxFields {
			return nil, false
		}
		m := manager{name: entry.Manager}
		if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &m.ownership) != nil {
			return nil, false
		}
		all = append(all, m)
	}
	return all, true
}
