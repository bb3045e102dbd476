package controllers

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

func TestWhoWantsToBeLeftAloneIsNotLinked(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "default"}}
	for _, o := range []client.Object{sa, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}} {
		for _, label := range []string{`"true"`, `"false"`, "null"} {
			w.must(w.admin.Patch(t.Context(), o, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"regcred.dev/link":`+label+`}}}`))))
			w.run(target)
			w.must(w.admin.Get(t.Context(), client.ObjectKeyFromObject(sa), sa))
			linked := slices.Contains(sa.ImagePullSecrets, corev1.LocalObjectReference{Name: target.Name})
			if recorded := sa.Annotations[v1alpha1.AnnotationLinkPrefix+target.Name] != ""; linked != (label != `"false"`) || recorded != linked {
				t.Errorf("label %s on %T: linked %t, recorded %t", label, o, linked, recorded)
			}
		}
	}
}
