package pullsecret

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
)

func managed(manager, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields)}
}

const (
	written  = `{"f:data":{".":{},"f:.dockerconfigjson":{}},"f:metadata":{"f:annotations":{".":{},"f:regcred.dev/registries":{}}},"f:type":{}}`
	content  = `{"f:data":{"f:.dockerconfigjson":{}}}`
	recorded = `{"f:metadata":{"f:annotations":{"f:regcred.dev/registries":{}}}}`
)

func TestTamperingShowsInManagedFieldsBeforeAndAfterTheyAreHeld(t *testing.T) {
	var many []metav1.ManagedFieldsEntry
	for i := range 100 {
		many = append(many, managed(fmt.Sprint(i), content))
	}
	for name, c := range map[string]struct {
		fields []metav1.ManagedFieldsEntry
		want   bool
	}{
		"as written":                          {[]metav1.ManagedFieldsEntry{managed("regcred", written)}, true},
		"written by create and by update":     {[]metav1.ManagedFieldsEntry{managed("regcred", content), managed("regcred", recorded)}, true},
		"labels of others":                    {[]metav1.ManagedFieldsEntry{managed("regcred", written), managed("kubectl", `{"f:metadata":{"f:labels":{"f:a":{}}}}`)}, true},
		"the same bytes applied by others":    {[]metav1.ManagedFieldsEntry{managed("regcred", written), managed("argocd", content)}, true},
		"no fields at all":                    {nil, false},
		"data taken over":                     {[]metav1.ManagedFieldsEntry{managed("regcred", recorded), managed("kubectl-edit", content)}, false},
		"the record taken over":               {[]metav1.ManagedFieldsEntry{managed("regcred", content), managed("kubectl-annotate", recorded)}, false},
		"a key added":                         {[]metav1.ManagedFieldsEntry{managed("regcred", written), managed("kubectl", `{"f:data":{"f:x":{}}}`)}, false},
		"our key removed":                     {[]metav1.ManagedFieldsEntry{managed("regcred", `{"f:data":{".":{}}}`), managed("regcred", recorded)}, false},
		"another manager with a similar name": {[]metav1.ManagedFieldsEntry{managed("regcred2", written)}, false},
		"unreadable":                          {[]metav1.ManagedFieldsEntry{managed("regcred", written), managed("x", `{`)}, false},
		"a status of ours":                    {[]metav1.ManagedFieldsEntry{{Manager: "regcred", Subresource: "status", FieldsV1: metav1.NewFieldsV1(written)}}, false},
		"more fields than are read": {[]metav1.ManagedFieldsEntry{managed("regcred", written),
			managed("kubectl", `{"f:metadata":{"f:labels":{"f:`+strings.Repeat("x", maxFields)+`":{}}}}`)}, false},
		"more managers than are held": {append(many, managed("kubectl", `{"f:data":{"f:x":{}}}`)), false},
	} {
		m := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ManagedFields: c.fields}}
		if got := Intact(m); got != c.want {
			t.Errorf("%s: intact is %t, want %t", name, got, c.want)
		}
		m.ManagedFields = ownershipOf(m)
		if got := Intact(m); got != c.want {
			t.Errorf("%s: intact is %t when it is held, want %t", name, got, c.want)
		}
		if len(m.ManagedFields) > maxManagers {
			t.Errorf("%s: the fields of %d managers are held", name, len(m.ManagedFields))
		}
	}
}

func TestOnlyWhatWasMadeForACredentialIsItsOwn(t *testing.T) {
	owner := Owner{Kind: v1alpha1.KindRegistryCredential, Name: "mine", UID: "u"}
	owned := func(change func(*metav1.OwnerReference)) metav1.ObjectMeta {
		ref := owner.reference()
		change(&ref)
		return metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{ref}}
	}
	kept := func(by string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Annotations: map[string]string{v1alpha1.AnnotationKeptBy: by}}
	}
	labelled := map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretTarget}
	fields := []metav1.ManagedFieldsEntry{managed("regcred", written)}
	for name, c := range map[string]struct {
		meta metav1.ObjectMeta
		want bool
	}{
		"its own":                            {owned(func(*metav1.OwnerReference) {}), true},
		"its own, from a backup":             {owned(func(r *metav1.OwnerReference) { r.UID = "before" }), true},
		"of a namesake of another kind":      {owned(func(r *metav1.OwnerReference) { r.Kind = v1alpha1.KindClusterRegistryCredential }), false},
		"of a namesake of another group":     {owned(func(r *metav1.OwnerReference) { r.APIVersion = "example.com/v1" }), false},
		"another credential's":               {owned(func(r *metav1.OwnerReference) { r.Name = "other" }), false},
		"kept by it":                         {kept("RegistryCredential/mine"), true},
		"kept by another":                    {kept("RegistryCredential/other"), false},
		"kept by a namesake of another kind": {kept("ClusterRegistryCredential/mine"), false},
		"nobody's, as we wrote it":           {metav1.ObjectMeta{Labels: labelled, ManagedFields: fields}, true},
		"nobody's, and tampered with":        {metav1.ObjectMeta{Labels: labelled}, false},
		"nobody's, without our label":        {metav1.ObjectMeta{ManagedFields: fields}, false},
	} {
		if got := Ours(owner, &metav1.PartialObjectMetadata{ObjectMeta: c.meta}); got != c.want {
			t.Errorf("%s: ours is %t, want %t", name, got, c.want)
		}
	}
}

func TestOfTheFieldsOfOthersOneStandsForAll(t *testing.T) {
	m := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{
		managed("a", `{"f:data":{"f:x":{},"f:y":{},"f:.dockerconfigjson":{}},"f:metadata":{"f:annotations":{"f:a":{},"f:b":{}}}}`)}}}
	held := ownershipOf(m)
	if got := string(held[0].FieldsV1.GetRawBytes()); len(held) != 1 || got != `{"f:data":{"f:":{},"f:.dockerconfigjson":{}}}` {
		t.Errorf("held: %s", got)
	}
}

func TestAMegabyteOfFieldsIsNotRead(t *testing.T) {
	var fields strings.Builder
	for n := range 20_000 {
		fmt.Fprintf(&fields, `"f:%040d":{},`, n)
	}
	m := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{
		managed("regcred", written), managed("kubectl", `{"f:data":{`+fields.String()+`"f:x":{}}}`)}}}
	if allocated := testing.AllocsPerRun(10, func() { _ = ownershipOf(m) }); allocated > 100 {
		t.Errorf("%v allocations", allocated)
	}
}

func TestWhatIsHeldAsIntactIsNotReadAgain(t *testing.T) {
	m := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{managed("regcred", written)}}}
	m.ManagedFields = ownershipOf(m)
	m = m.DeepCopy() // as whoever reads a cache gets it
	if allocated := testing.AllocsPerRun(100, func() { _ = Intact(m) }); allocated > 0 {
		t.Errorf("%v allocations", allocated)
	}
}

func BenchmarkASecretAsItIsHeld(b *testing.B) {
	m := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{managed("regcred", written)}}}
	b.Run("taken into the cache", func(b *testing.B) {
		for b.Loop() {
			_ = ownershipOf(m)
		}
	})
	m.ManagedFields = ownershipOf(m)
	b.Run("looked at", func(b *testing.B) {
		for b.Loop() {
			_ = Intact(m)
		}
	})
}
