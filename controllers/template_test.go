package controllers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

func TestTheSecretFollowsTheTemplateAndWhatOthersAddStays(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, func(s *v1alpha1.ClusterCredentialSpec) {
		s.SecretTemplate = &v1alpha1.SecretTemplate{Labels: map[string]v1alpha1.LabelValue{"cost": "a", "gone": "soon"}, Annotations: map[string]v1alpha1.AnnotationValue{"note": "b"}}
	}, registry("a", "eu-west-1"))
	w.run(target)
	s := w.secret(target)
	if s.Labels["cost"] != "a" || s.Labels["gone"] != "soon" || s.Annotations["note"] != "b" {
		t.Fatalf("labels %v, annotations %v", s.Labels, s.Annotations)
	}
	before := s.UID
	w.must(w.admin.Patch(t.Context(), s, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"cost":null,"foreign":"x"},"annotations":{"note":"edited"}}}`))))
	w.run(target)
	if s = w.secret(target); s.Labels["cost"] != "a" || s.Labels["foreign"] != "x" || s.Annotations["note"] != "b" {
		t.Errorf("after an edit: labels %v, annotations %v", s.Labels, s.Annotations)
	}
	w.change(target.Credential.Name, func(c *v1alpha1.ClusterRegistryCredential) {
		c.Spec.SecretTemplate = &v1alpha1.SecretTemplate{Labels: map[string]v1alpha1.LabelValue{"cost": "c"}}
	})
	w.run(target)
	s = w.secret(target)
	_, gone := s.Labels["gone"]
	_, note := s.Annotations["note"]
	if s.Labels["cost"] != "c" || gone || note || s.Labels["foreign"] != "x" || s.UID != before {
		t.Errorf("after a change of the spec: labels %v, annotations %v", s.Labels, s.Annotations)
	}
	version := s.ResourceVersion
	w.run(target)
	if w.secret(target).ResourceVersion != version || w.mint.count() != 1 {
		t.Error("a Secret that follows the template is written again, or a token minted")
	}
}

// What a user changes in the spec is no fight with somebody else, and no repair.
func TestOnesOwnEditsOfTheSpecDoNotUseUpTheRepairs(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("a", "eu-west-1"))
	w.run(target)
	for n := range 12 {
		label := fmt.Sprint(n)
		w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) {
			c.Spec.SecretTemplate = &v1alpha1.SecretTemplate{Labels: map[string]v1alpha1.LabelValue{"cost": v1alpha1.LabelValue(label)}}
			c.Spec.DeletionPolicy = []v1alpha1.DeletionPolicy{v1alpha1.DeletionPolicyRetain, v1alpha1.DeletionPolicyDelete}[n%2]
		})
		w.run(target)
		s := w.secret(target)
		if retained := s.Annotations[v1alpha1.AnnotationRetain] == "true"; s.Labels["cost"] != label || retained != (n%2 == 0) {
			t.Fatalf("edit %d is not followed: labels %v, retained %t", n, s.Labels, retained)
		}
	}
	w.expectReady("after twelve edits", w.ready(target), metav1.ConditionTrue, v1alpha1.ReasonCurrent)
	if told := w.told(); strings.Contains(told, "Repaired") || !strings.Contains(told, "Normal Updated "+ns+": the Secret and its links go from now on when the credential is deleted") {
		t.Errorf("told of the user's own edits: %s", told)
	}
	w.must(w.admin.Patch(t.Context(), w.secret(target), client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"cost":"theirs"}}}`))))
	w.step(time.Second)
	w.run(target)
	w.report(target)
	if told := w.told(); w.secret(target).Labels["cost"] != "11" || !strings.Contains(told, "Normal Repaired "+ns+": what spec.secretTemplate puts on the Secret had been changed") {
		t.Errorf("after somebody else's edit the label is %q, told: %s", w.secret(target).Labels["cost"], told)
	}
}
