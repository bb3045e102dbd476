package link

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/internal/apiserver"
)

// Changes counts links by what was done to them.
type Changes struct {
	// Made are new ones, Restored those that somebody else had removed, and Removed those that were ours and are wanted no longer.
	Made, Restored, Removed int
}

// Add counts further ones.
func (c *Changes) Add(change Changes) {
	c.Made += change.Made
	c.Restored += change.Restored
	c.Removed += change.Removed
}

// serviceAccountPatch is a merge patch that says all it touches and the version it was computed from.
type serviceAccountPatch struct {
	Metadata struct {
		UID             types.UID          `json:"uid"`
		ResourceVersion string             `json:"resourceVersion"`
		Annotations     map[string]*string `json:"annotations"`
	} `json:"metadata"`
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitzero"`

	// change is what the patch does to links.
	change Changes
}

// newPatch changes nothing yet.
func newPatch(sa *corev1.ServiceAccount) *serviceAccountPatch {
	p := &serviceAccountPatch{}
	p.Metadata.UID, p.Metadata.ResourceVersion, p.Metadata.Annotations = sa.UID, sa.ResourceVersion, map[string]*string{}
	return p
}

// send returns the resource version that the ServiceAccount got.
func (p *serviceAccountPatch) send(ctx context.Context, c client.Client, name client.ObjectKey) (string, error) {
	raw, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, apiserver.WriteTimeout)
	defer cancel()
	target := &corev1.ServiceAccount{}
	target.Namespace, target.Name = name.Namespace, name.Name
	err = c.Patch(ctx, target, client.RawPatch(types.MergePatchType, raw))
	return target.ResourceVersion, err
}

// patchFor returns what must change on the ServiceAccount; nil for nothing. A link that another target wants, too, passes to that one.
func patchFor(t credential.Target, sa *corev1.ServiceAccount, wanted *credential.Target) *serviceAccountPatch {
	secret, annotation := corev1.LocalObjectReference{Name: t.Name}, v1alpha1.AnnotationLinkPrefix+t.Name
	linked, recorded := slices.Contains(sa.ImagePullSecrets, secret), credential.Recorded(sa, t)

	switch {
	case credential.Cut(sa):
		return nil
	case wanted != nil && *wanted == t && !linked:
		patch := newPatch(sa)
		patch.Metadata.Annotations[annotation] = new(t.LinkRecord())
		patch.ImagePullSecrets = append(slices.Clone(sa.ImagePullSecrets), secret)
		patch.change = Changes{Made: 1}
		if recorded {
			patch.change = Changes{Restored: 1}
		}
		return patch
	case wanted != nil && *wanted != t && recorded:
		patch := newPatch(sa)
		patch.Metadata.Annotations[annotation] = new(wanted.LinkRecord())
		return patch
	case wanted == nil && recorded:
		return removal(sa, t)
	}
	return nil
}

// removal takes recorded links off a ServiceAccount: what is in its list, and the records; nil if there are none.
func removal(sa *corev1.ServiceAccount, links ...credential.Target) *serviceAccountPatch {
	if len(links) == 0 {
		return nil
	}
	patch := newPatch(sa)
	gone := make(map[string]bool, len(links))
	for _, t := range links {
		patch.Metadata.Annotations[v1alpha1.AnnotationLinkPrefix+t.Name], gone[t.Name] = nil, true
	}
	others := slices.DeleteFunc(slices.Clone(sa.ImagePullSecrets), func(r corev1.LocalObjectReference) bool { return gone[r.Name] })
	if patch.change.Removed = len(sa.ImagePullSecrets) - len(others); patch.change.Removed > 0 {
		patch.ImagePullSecrets = append([]corev1.LocalObjectReference{}, others...)
	}
	return patch
}

// read reads a ServiceAccount past the cache: a list of one, for which no further right is needed; nil if there is none.
func read(ctx context.Context, from client.Reader, name client.ObjectKey) (*corev1.ServiceAccount, error) {
	var list corev1.ServiceAccountList
	err := from.List(ctx, &list, client.InNamespace(name.Namespace), client.MatchingFields{metav1.ObjectNameField: name.Name})
	if err != nil || len(list.Items) == 0 {
		return nil, err
	}
	return &list.Items[0], nil
}

// beforeFirstApply is what the API server calls all who wrote a ServiceAccount before the first server-side apply; until then it names nobody.
const beforeFirstApply = "before-first-apply"

// rivalOn names the field manager that has changed the list of a ServiceAccount last, as far as that is known.
func rivalOn(ctx context.Context, live client.Reader, name client.ObjectKey) (string, error) {
	sa, err := read(ctx, live, name)
	if err != nil || sa == nil {
		return "", err
	}
	var last metav1.ManagedFieldsEntry
	for _, entry := range sa.ManagedFields {
		list := entry.FieldsV1 != nil && bytes.Contains(entry.FieldsV1.GetRawBytes(), []byte(`"f:imagePullSecrets"`))
		if list && entry.Manager != v1alpha1.FieldManager && entry.Manager != beforeFirstApply && !entry.Time.Before(last.Time) {
			last = entry
		}
	}
	return apiserver.FieldManager(last.Manager), nil
}
