package pullsecret

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
)

// bringing is a Secret as we wrote it for a credential, whose record has so many bytes at least and names so many annotations of a template.
func bringing(t *testing.T, size, annotations int) *metav1.PartialObjectMetadata {
	t.Helper()
	r := Record{Name: "ecr", Source: "ab", Hosts: []string{"a"}, IssuedAt: time.Unix(1, 0).UTC(), ExpiresAt: time.Unix(2, 0).UTC()}
	for i := range size / 250 {
		r.Hosts = append(r.Hosts, fmt.Sprintf("h%0*d", 249, i))
	}
	m := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretTarget}, Annotations: map[string]string{},
		OwnerReferences: []metav1.OwnerReference{Owner{Kind: v1alpha1.KindRegistryCredential, Name: "c", UID: "u"}.reference()},
		ManagedFields:   []metav1.ManagedFieldsEntry{managed(v1alpha1.FieldManager, written)},
	}}
	d := document{Version: version, Entries: []Record{r}}
	for i := range annotations {
		key := fmt.Sprintf("theirs-%d", i)
		d.Annotations, m.Annotations[key] = append(d.Annotations, key), strings.Repeat("語", 1024)
	}
	raw, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	m.Annotations[AnnotationRegistries] = string(raw)
	return m
}

// Whoever may write Secrets may write a record that can be read, which says that much else is a template's.
func TestWhatARecordBringsIsHeldWhereItWillBeBelieved(t *testing.T) {
	ours := func(*metav1.PartialObjectMetadata) {}
	unowned := func(m *metav1.PartialObjectMetadata) { m.OwnerReferences = nil }
	for name, c := range map[string]struct {
		size, annotations int
		change            func(*metav1.PartialObjectMetadata)
		whole             bool
	}{
		"our Secret, with a large record and template": {40 << 10, 16, ours, true},
		"kept without an owner": {40 << 10, 16, func(m *metav1.PartialObjectMetadata) {
			m.OwnerReferences, m.Annotations[v1alpha1.AnnotationKeptBy] = nil, "RegistryCredential/c"
		}, true},
		"more annotations than a template can have": {1 << 10, 17, ours, false},
		"nobody's, small":            {1 << 10, 0, unowned, true},
		"nobody's, a large record":   {5 << 10, 0, unowned, false},
		"nobody's, a large template": {0, 2, unowned, false},
		"another controller's": {40 << 10, 16, func(m *metav1.PartialObjectMetadata) {
			m.OwnerReferences[0].APIVersion = "example.com/v1"
		}, false},
		"kept by nobody who could be": {40 << 10, 16, func(m *metav1.PartialObjectMetadata) {
			m.OwnerReferences, m.Annotations[v1alpha1.AnnotationKeptBy] = nil, "Somebody/c"
		}, false},
		"edited": {40 << 10, 16, func(m *metav1.PartialObjectMetadata) {
			m.ManagedFields = append(m.ManagedFields, managed("kubectl", `{"f:data":{"f:x":{}}}`))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := bringing(t, c.size, c.annotations)
			c.change(m)
			before := len(m.Annotations)
			Trim(m)
			Trim(m) // an object may come there twice
			held := 0
			for key, value := range m.Annotations {
				held += len(key) + len(value)
			}
			if got := len(m.Annotations) == before && !Cut(m); got != c.whole {
				t.Errorf("%d of %d annotations are held, whole: %t", len(m.Annotations), before, got)
			}
			if !c.whole && (held > maxUnclaimed || !Cut(m)) {
				t.Errorf("%d bytes are held, marked as cut: %t", held, Cut(m))
			}
		})
	}
}
