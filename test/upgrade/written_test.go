package upgrade

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"text/template"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/pullsecret"
)

// recorded is what the earlier version has written for the credentials, as of now: a template for the UIDs of owners and for times.
func (w *world) recorded() []*unstructured.Unstructured {
	w.Helper()
	raw, err := os.ReadFile("testdata/written.yaml")
	w.must(err)
	uid := func(kind, name string) string {
		o := &unstructured.Unstructured{}
		o.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
		key := client.ObjectKey{Name: name}
		if kind == v1alpha1.KindRegistryCredential {
			key.Namespace = team
		}
		w.must(w.Client.Get(w.Context(), key, o))
		return string(o.GetUID())
	}
	after := func(d string) string {
		left, err := time.ParseDuration(d)
		w.must(err)
		return time.Now().Add(left).UTC().Format(time.RFC3339)
	}
	parsed, err := template.New("written").Funcs(template.FuncMap{"uid": uid, "in": after}).Parse(string(raw))
	w.must(err)
	var text bytes.Buffer
	w.must(parsed.Execute(&text, nil))
	var objects []*unstructured.Unstructured
	for document := range strings.SplitSeq(text.String(), "\n---\n") {
		o := &unstructured.Unstructured{}
		w.must(utilyaml.Unmarshal([]byte(document), &o.Object))
		objects = append(objects, o)
	}
	return objects
}

// writeAsRecorded writes that under the name of the controller.
func (w *world) writeAsRecorded() {
	w.Helper()
	ours := client.FieldOwner(v1alpha1.FieldManager)
	for _, o := range w.recorded() {
		if o.GetKind() == "Secret" {
			w.must(w.Client.Create(w.Context(), o, ours))
			continue
		}
		patch, err := o.MarshalJSON()
		w.must(err)
		w.must(w.Client.Patch(w.Context(), o, client.RawPatch("application/merge-patch+json", patch), ours))
	}
}

var (
	anyTime   = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
	anySource = regexp.MustCompile(`"source":"[0-9a-f]{32}"`)
)

// alike is a record without what is another's each time.
func alike(record string) string {
	return anySource.ReplaceAllString(anyTime.ReplaceAllString(record, "TIME"), "SOURCE")
}

// wroteAsRecorded compares what the earlier version writes with what is recorded of it.
func (w *world) wroteAsRecorded() {
	w.Helper()
	for _, want := range w.recorded() {
		if want.GetKind() != "Secret" {
			continue
		}
		got := w.secret(want.GetName())
		annotation := pullsecret.AnnotationRegistries
		if g, r := alike(got.Annotations[annotation]), alike(want.GetAnnotations()[annotation]); g != r {
			w.Errorf("%s: the record is %s, and not %s", got.Name, g, r)
		}
		owner := got.OwnerReferences[0]
		owner.BlockOwnerDeletion = nil
		if r := want.GetOwnerReferences(); len(got.OwnerReferences) != 1 || len(r) != 1 || owner.UID != r[0].UID || owner.Kind != r[0].Kind {
			w.Errorf("%s: the owners are %v, and not %v", got.Name, got.OwnerReferences, r)
		}
		if manager := got.ManagedFields[0]; len(got.ManagedFields) != 1 || manager.Manager != v1alpha1.FieldManager || manager.Operation != "Update" {
			w.Errorf("%s: the managers are %v", got.Name, got.ManagedFields)
		}
	}
}
