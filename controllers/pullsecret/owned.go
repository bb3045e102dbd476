package pullsecret

import (
	"encoding/json"
	"fmt"

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
}

// reference makes the garbage collector delete the Secret with its credential.
func (o Owner) reference() metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: o.Kind, Name: o.Name, UID: o.UID, Controller: new(true)}
}

// Ours says whether the Secret was made for this credential. The UID is not asked for: a credential restored from a backup finds
// its Secrets again. A Secret without any owner is ours if it is as we wrote it.
func Ours(o Owner, secret *metav1.PartialObjectMetadata) bool {
	owner := metav1.GetControllerOf(secret)
	if owner == nil {
		return secret.Labels[v1alpha1.LabelSecret] == v1alpha1.LabelSecretTarget && Intact(secret)
	}
	return owner.Kind == o.Kind && owner.Name == o.Name && owner.APIVersion == v1alpha1.GroupVersion.String()
}

// Trusted says whether the Secret's records and content are what we wrote.
func Trusted(o Owner, secret *metav1.PartialObjectMetadata) bool {
	return secret != nil && Ours(o, secret) && Intact(secret)
}

// Intact says whether the Secret's data is what we wrote last: the API server takes a field from its manager when somebody else
// changes it, and gives a new one to whoever adds it. So tampering shows without a token being read. Another manager that
// applies the very same value shares the field and changes nothing.
func Intact(secret *metav1.PartialObjectMetadata) bool {
	ours := false
	for _, entry := range secret.ManagedFields {
		owned, err := ownedData(entry)
		if err != nil {
			return false
		}
		for field := range owned {
			switch {
			case field == ".": // the map itself, owned by everyone who owns a key of it
			case field != "f:"+corev1.DockerConfigJsonKey:
				return false
			case entry.Manager == FieldManager:
				ours = true
			}
		}
	}
	return ours
}

// intactFields are the managedFields of every Secret in memory that is as we wrote it. They are shared.
var intactFields = []metav1.ManagedFieldsEntry{{Manager: FieldManager, FieldsV1: metav1.NewFieldsV1(`{"f:data":{"f:.dockerconfigjson":{}}}`)}}

// Ownership is the part of a Secret's managedFields that Intact looks at, as small as it can be held.
func Ownership(secret *metav1.PartialObjectMetadata) ([]metav1.ManagedFieldsEntry, error) {
	if Intact(secret) {
		return intactFields, nil
	}
	var kept []metav1.ManagedFieldsEntry
	for _, entry := range secret.ManagedFields {
		owned, err := ownedData(entry)
		if err != nil {
			return nil, fmt.Errorf("managedFields of Secret %s/%s: %w", secret.Namespace, secret.Name, err)
		}
		if len(owned) == 0 {
			continue
		}
		raw, err := json.Marshal(map[string]any{"f:data": owned})
		if err != nil {
			return nil, err
		}
		kept = append(kept, metav1.ManagedFieldsEntry{Manager: entry.Manager, FieldsV1: metav1.NewFieldsV1(string(raw))})
	}
	return kept, nil
}

// ownedData returns the fields of the Secret's data that the entry's manager owns.
func ownedData(entry metav1.ManagedFieldsEntry) (map[string]json.RawMessage, error) {
	if entry.FieldsV1 == nil || entry.Subresource != "" {
		return nil, nil
	}
	var fields struct {
		Data map[string]json.RawMessage `json:"f:data"`
	}
	if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields); err != nil {
		return nil, err
	}
	return fields.Data, nil
}
