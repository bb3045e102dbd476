package controllers

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/controllers/view"
)

// deleted is the event of a Secret that the cache shows no longer.
func (w *world) deleted(s *corev1.Secret) {
	w.Deleted(s)
}

func TestTamperingIsRepairedWithoutACall(t *testing.T) {
	for name, tamper := range map[string]func(*world, *corev1.Secret){
		"deleted": func(w *world, s *corev1.Secret) {
			w.must(w.admin.Delete(w.Context(), s))
			w.deleted(s)
		},
		"edited": func(w *world, s *corev1.Secret) {
			s.Data[corev1.DockerConfigJsonKey] = []byte(`{"auths":{"evil.example":{"auth":"eDp5"}}}`)
			w.must(w.admin.Update(w.Context(), s))
		},
		"emptied": func(w *world, s *corev1.Secret) {
			s.Data[corev1.DockerConfigJsonKey] = []byte(`{}`)
			w.must(w.admin.Update(w.Context(), s))
		},
		"key added": func(w *world, s *corev1.Secret) {
			s.Data["extra"] = []byte("x")
			w.must(w.admin.Update(w.Context(), s))
		},
		"label removed": func(w *world, s *corev1.Secret) {
			delete(s.Labels, v1alpha1.LabelSecret)
			w.must(w.admin.Update(w.Context(), s))
			w.deleted(s)
		},
		"records removed": func(w *world, s *corev1.Secret) {
			delete(s.Annotations, pullsecret.AnnotationRegistries)
			w.must(w.admin.Update(w.Context(), s))
		},
		"owner removed": func(w *world, s *corev1.Secret) {
			s.OwnerReferences = nil
			w.must(w.admin.Update(w.Context(), s))
		},
		"owner's UID changed": func(w *world, s *corev1.Secret) {
			s.OwnerReferences[0].UID = "other"
			w.must(w.admin.Update(w.Context(), s))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, ns := newWorld(t)
			target := w.apply(ns, nil, registry("prod", "eu-west-1"))
			w.run(target)
			before := w.secret(target)
			tamper(w, before.DeepCopy())
			w.run(target)
			after := w.secret(target)
			if !cmp.Equal(before.Data, after.Data) || !cmp.Equal(before.Labels, after.Labels) || len(after.OwnerReferences) != 1 ||
				!cmp.Equal(before.Annotations, after.Annotations) || !metav1.IsControlledBy(after, w.credential(ns)) {
				t.Error("the Secret is not what it was")
			}
			if w.mint.count() != 1 {
				t.Errorf("%d calls, want none beyond the first", w.mint.count())
			}
			w.run(target)
			if w.secret(target).ResourceVersion != after.ResourceVersion {
				t.Error("it was written again though nothing is wrong")
			}
		})
	}
}

func TestARefreshThatFailsDoesNotHinderARepair(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	before := w.secret(target)
	w.mint.breakWest(errRefused)
	w.step(time.Minute)
	w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) {
		c.Annotations = map[string]string{v1alpha1.AnnotationRefreshRequestedAt: "now"}
	})
	w.run(target)
	edited := before.DeepCopy()
	edited.Data[corev1.DockerConfigJsonKey] = []byte(`{}`)
	w.must(w.admin.Update(t.Context(), edited))
	w.run(target)
	if !cmp.Equal(w.secret(target).Data, before.Data) {
		t.Error("the edited Secret was not repaired though its token is in memory")
	}
	w.mint.breakWest(nil)
	w.step(3 * time.Minute)
	w.run(target)
	if cmp.Equal(w.secret(target).Data, before.Data) {
		t.Error("the refresh request was forgotten")
	}
	// A request that is withdrawn is no request.
	settled := w.secret(target).ResourceVersion
	w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) { c.Annotations = nil })
	w.run(target)
	if w.secret(target).ResourceVersion != settled {
		t.Error("a request that was withdrawn cost a write")
	}
}

func TestAnotherManagerWithTheSameBytesMakesNoLoop(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	good := w.secret(target)
	// Edited and put back by somebody else, who thereby owns the bytes that we would write.
	edited := good.DeepCopy()
	edited.Data[corev1.DockerConfigJsonKey] = []byte(`{}`)
	w.must(w.admin.Update(t.Context(), edited))
	edited.Data = good.Data
	w.must(w.admin.Update(t.Context(), edited))
	w.report(target)
	w.told()
	for range 2 {
		w.run(target)
	}
	if got := w.secret(target); got.ResourceVersion != edited.ResourceVersion || !cmp.Equal(got.Data, good.Data) {
		t.Error("the Secret was changed though it is as it should be")
	}
	w.report(target)
	if told := w.told(); told != "" {
		t.Errorf("nothing was repaired, and yet told: %s", told)
	}
	// The next token takes the bytes back.
	w.step(life / 2)
	w.run(target)
	m := view.SecretMetadata()
	w.must(w.admin.Get(t.Context(), target.Secret(), m))
	if !pullsecret.Intact(m) {
		t.Error("the Secret looks edited for ever")
	}
}

func TestWhatOthersAddToASecretSurvives(t *testing.T) {
	for name, act := range map[string]func(w *world, t credential.Target, due time.Duration){
		"a rotation": func(w *world, _ credential.Target, due time.Duration) { w.step(due) },
		"a repair": func(w *world, t credential.Target, _ time.Duration) {
			w.patch(t, "kubectl", `{"stringData":{"extra":"x"}}`)
		},
		"a forgery under our name": func(w *world, t credential.Target, _ time.Duration) { w.patch(t, v1alpha1.FieldManager, emptied) },
		"the loss of the owner": func(w *world, t credential.Target, _ time.Duration) {
			s := w.secret(t)
			s.OwnerReferences = s.OwnerReferences[1:]
			w.must(w.admin.Update(w.Context(), s))
		},
		"a template": func(w *world, _ credential.Target, _ time.Duration) {
			w.change(w.names, func(c *v1alpha1.ClusterRegistryCredential) {
				c.Spec.SecretTemplate = &v1alpha1.SecretTemplate{Labels: map[string]v1alpha1.LabelValue{"app": "b"}}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, ns := newWorld(t)
			w.names = ns
			target := w.apply(ns, func(s *v1alpha1.ClusterCredentialSpec) {
				s.SecretTemplate = &v1alpha1.SecretTemplate{Annotations: map[string]v1alpha1.AnnotationValue{"note": "a"}}
			}, registry("prod", "eu-west-1"))
			due := w.run(target).RequeueAfter
			s := w.secret(target)
			s.Labels["theirs"], s.Annotations["theirs"] = "x", strings.Repeat("y", 200<<10)
			s.Annotations[corev1.LastAppliedConfigAnnotation] = "{}"
			s.Finalizers = []string{"example.com/theirs"}
			s.OwnerReferences = append(s.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "theirs", UID: "1"})
			w.must(w.admin.Update(t.Context(), s))
			w.run(target)
			act(w, target, due)
			before := w.secret(target)
			w.run(target)
			after := w.secret(target)
			if after.ResourceVersion == before.ResourceVersion || len(tokens(t, after)) != 1 || len(after.Data) != 1 || !metav1.IsControlledBy(after, w.credential(ns)) {
				t.Error("our part was not written")
			}
			if after.Labels["theirs"] != "x" || len(after.Annotations["theirs"]) != 200<<10 || after.Annotations[corev1.LastAppliedConfigAnnotation] != "{}" ||
				len(after.Finalizers) != 1 || len(after.OwnerReferences) != 2 {
				t.Error("what others had written is gone")
			}
			_, note := after.Annotations["note"]
			if _, cut := after.Annotations["regcred.dev/cut"]; cut || note == (name == "a template") || (after.Labels["app"] == "b") == note {
				t.Errorf("labels %v, and the note stays: %t", after.Labels, note)
			}
			w.run(target)
			if w.secret(target).ResourceVersion != after.ResourceVersion {
				t.Error("written again though nothing is wrong")
			}
		})
	}
}

func TestAForeignSecretIsNeverTouchedWithoutConsent(t *testing.T) {
	foreign := func(change func(*corev1.Secret)) *corev1.Secret {
		s := &corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{}}`)}}
		change(s)
		return s
	}
	consent := map[string]string{v1alpha1.AnnotationAdopt: "true"}
	yes := true
	for name, c := range map[string]struct {
		secret  *corev1.Secret
		adopted bool
		says    string
	}{
		"no consent": {foreign(func(*corev1.Secret) {}), false, "annotate it with regcred.dev/adopt=true"},
		"our label alone is no consent": {foreign(func(s *corev1.Secret) {
			s.Labels = map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretTarget}
		}), false, "annotate it with"},
		"consent": {foreign(func(s *corev1.Secret) { s.Annotations = consent }), true, ""},
		"consent, but another controller's": {foreign(func(s *corev1.Secret) {
			s.Annotations = consent
			s.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: "1", Controller: &yes}}
		}), false, "belongs to ConfigMap x: create this credential anew with another secretName"},
		"consent, but of another type": {&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Annotations: consent}, Data: map[string][]byte{"a": []byte("b")},
		}, false, "is of another type than kubernetes.io/dockerconfigjson"},
		"consent, but immutable": {foreign(func(s *corev1.Secret) {
			s.Annotations, s.Immutable = consent, &yes
		}), false, "is immutable: delete it"},
	} {
		t.Run(name, func(t *testing.T) {
			w, ns := newWorld(t)
			c.secret.Namespace, c.secret.Name = ns, ns
			w.must(w.admin.Create(t.Context(), c.secret))
			target := w.apply(ns, nil, registry("prod", "eu-west-1"))
			result := w.run(target)
			got := w.secret(target)
			if c.adopted {
				if got.UID != c.secret.UID || len(tokens(t, got)) != 1 || len(got.OwnerReferences) > 0 ||
					got.Annotations[v1alpha1.AnnotationKeptBy] != target.Credential.Ref() || got.Annotations[v1alpha1.AnnotationAdopt] != "true" {
					t.Errorf("the Secret was not adopted in place: %v %v", got.OwnerReferences, got.Annotations)
				}
				return
			}
			if got.ResourceVersion != c.secret.ResourceVersion {
				t.Error("the Secret was touched")
			}
			ready := w.ready(target)
			if ready.Status != metav1.ConditionFalse || ready.Reason != v1alpha1.ReasonSecretConflict || !strings.Contains(ready.Message, c.says) {
				t.Errorf("Ready=%s %s: %s", ready.Status, ready.Reason, ready.Message)
			}
			if failures := w.report(target).Failures; len(failures) != 1 || failures[0].Count != 1 || failures[0].Namespaces[0] != ns {
				t.Errorf("failures: %v", failures)
			}
			if told := w.told(); !strings.Contains(told, "Warning SecretConflict") {
				t.Errorf("events: %s", told)
			}
			if result.RequeueAfter < time.Minute {
				t.Errorf("it is tried again after %s", result.RequeueAfter)
			}
		})
	}
}

func TestAnOwnSecretMadeImmutableIsExplainedAndKept(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	due := w.run(target).RequeueAfter
	s := w.secret(target)
	yes := true
	s.Immutable = &yes
	w.must(w.admin.Update(t.Context(), s))
	w.step(due)
	w.run(target)
	ready := w.ready(target)
	if ready.Status != metav1.ConditionTrue || ready.Reason != v1alpha1.ReasonRefreshFailing || !strings.Contains(ready.Message, "is immutable") {
		t.Errorf("while the token lives: Ready=%s %s: %s", ready.Status, ready.Reason, ready.Message)
	}
	w.step(life)
	w.run(target)
	if ready = w.ready(target); ready.Status != metav1.ConditionFalse || ready.Reason != v1alpha1.ReasonExpired || !strings.Contains(ready.Message, "is immutable") {
		t.Errorf("when it has died: Ready=%s %s: %s", ready.Status, ready.Reason, ready.Message)
	}
}

func TestAFailingEntryKeepsItsBytesAndHoldsUpNobody(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("bad", "eu-west-1"), registry("good", "us-east-1"))
	due := w.run(target).RequeueAfter
	before := tokens(t, w.secret(target))
	w.mint.breakWest(errRefused)
	w.step(due)
	w.run(target)
	after := tokens(t, w.secret(target))
	if after[host("eu-west-1")] != before[host("eu-west-1")] {
		t.Error("the failing entry lost its last good token")
	}
	if after[host("us-east-1")] == before[host("us-east-1")] {
		t.Error("the good entry was not refreshed")
	}
	ready := w.ready(target)
	if ready.Status != metav1.ConditionTrue || ready.Reason != v1alpha1.ReasonRefreshFailing || !strings.Contains(ready.Message, "bad: the role may not") {
		t.Errorf("Ready=%s %s: %s", ready.Status, ready.Reason, ready.Message)
	}
	if told := w.told(); !strings.Contains(told, "Warning AccessDenied") {
		t.Errorf("events: %s", told)
	}
	w.step(life)
	w.run(target)
	if ready = w.ready(target); ready.Status != metav1.ConditionFalse || ready.Reason != v1alpha1.ReasonExpired || !strings.Contains(ready.Message, "may not") {
		t.Errorf("when the token has died: Ready=%s %s: %s", ready.Status, ready.Reason, ready.Message)
	}
	if got := tokens(t, w.secret(target)); got[host("eu-west-1")] != before[host("eu-west-1")] {
		t.Error("the dead token was dropped: pods with the image on their node would be refused")
	}
	w.mint.breakWest(nil)
	w.step(3 * time.Minute)
	w.run(target)
	if ready = w.ready(target); ready.Status != metav1.ConditionTrue || ready.Reason != v1alpha1.ReasonCurrent {
		t.Errorf("after the mend: Ready=%s %s: %s", ready.Status, ready.Reason, ready.Message)
	}
}

func TestTokensThatNoSecretCanHoldAreExplained(t *testing.T) {
	w, ns := newWorld(t)
	w.mint.padding = strings.Repeat("x", corev1.MaxSecretSize)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	if ready := w.ready(target); ready.Reason != v1alpha1.ReasonSecretRejected || !strings.Contains(ready.Message, "use fewer entries or hosts") {
		t.Errorf("Ready: %s: %s", ready.Reason, ready.Message)
	}
}

func TestACallUnderWayMendsNothingYet(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	due := w.run(target).RequeueAfter
	w.mint.breakWest(errRefused)
	w.step(due)
	retry := w.run(target).RequeueAfter
	w.mint.hang["eu-west-1"] = true
	w.step(retry)
	w.run(target)
	if ready := w.ready(target); ready.Reason != v1alpha1.ReasonRefreshFailing {
		t.Errorf("while it is tried again: Ready=%s %s: the status flaps with every try", ready.Status, ready.Reason)
	}
	if told := w.told(); strings.Count(told, "Warning") != 1 {
		t.Errorf("events: %s", told)
	}
}

func TestATargetWaitsForACloudThatHangsWithoutLookingAgainAndAgain(t *testing.T) {
	w, ns := newWorld(t)
	w.mint.hang["eu-west-1"] = true
	target := w.apply(ns, nil, registry("prod", "eu-west-1"), registry("east", "us-east-1"))
	w.run(target)
	<-w.woken // by the other entry's token
	if again := w.run(target).RequeueAfter; again > pendingGrace {
		t.Errorf("the other entry's token waits for %s, and should for %s at most", again, pendingGrace)
	}
	w.step(pendingGrace)
	again := w.run(target).RequeueAfter
	if published := tokens(t, w.secret(target)); len(published) != 1 {
		t.Errorf("%d entries are published", len(published))
	}
	if again < credential.RetryAfter {
		t.Errorf("it is looked at again after %s, though the end of the call brings it back", again)
	}
}

func TestATokenThatIsDueItselfOnlyStandsIn(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	before := w.secret(target)
	w.step(life / 2)
	w.must(w.admin.Delete(t.Context(), before))
	w.deleted(before)
	w.run(target)
	if cmp.Equal(w.secret(target).Data, before.Data) || w.mint.count() != 2 {
		t.Error("a token was published that has to be replaced at once")
	}
	// If no other is to be had, it will do.
	old := w.secret(target)
	w.mint.breakWest(errRefused)
	w.step(life / 2)
	w.must(w.admin.Delete(t.Context(), old))
	w.deleted(old)
	w.run(target)
	if !cmp.Equal(w.secret(target).Data, old.Data) {
		t.Error("a live token was withheld")
	}
}

func TestATargetThatWasAwayGetsTheBestThatIsInMemory(t *testing.T) {
	w, ns := newWorld(t)
	other := ns + "-b"
	w.must(w.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: other, Labels: map[string]string{"team": ns}}}))
	here := w.apply(ns, nil, registry("prod", "eu-west-1"))
	away := credential.Target{Credential: here.Credential, Namespace: other, Name: here.Name}
	w.run(here)
	w.run(away)
	w.step(life / 2)
	w.run(here)
	w.step(life/2 + time.Hour)
	w.mint.breakWest(errRefused)
	w.run(away)
	if !cmp.Equal(w.secret(here).Data, w.secret(away).Data) {
		t.Error("the token is dead, and the live one in memory was withheld because it is due itself")
	}
}

func TestAnEmptySecretIsNeverWritten(t *testing.T) {
	w, ns := newWorld(t)
	w.mint.breakWest(errRefused)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	result := w.run(target)
	if err := w.admin.Get(t.Context(), target.Secret(), &corev1.Secret{}); err == nil {
		t.Error("a Secret without a token was written")
	}
	if ready := w.ready(target); ready.Status != metav1.ConditionFalse || ready.Reason != v1alpha1.ReasonAccessDenied {
		t.Errorf("Ready=%s %s: %s", ready.Status, ready.Reason, ready.Message)
	}
	if result.RequeueAfter < time.Second {
		t.Errorf("it is tried again after %s", result.RequeueAfter)
	}
	// One entry that works is published all the same.
	w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) {
		c.Spec.Registries = append(c.Spec.Registries, registry("good", "us-east-1"))
	})
	w.run(target)
	if got := tokens(t, w.secret(target)); len(got) != 1 || got[host("us-east-1")] == "" {
		t.Errorf("%d tokens, want that of the entry that works", len(got))
	}
}

func TestOneEntryIsDueAfterARestartAndTheOtherIsReadBack(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("old", "eu-west-1"))
	w.run(target)
	w.step(time.Hour)
	w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) {
		c.Spec.Registries = append(c.Spec.Registries, registry("young", "us-east-1"))
	})
	due := w.run(target).RequeueAfter
	before := tokens(t, w.secret(target))
	w.restart()
	w.step(due)
	w.run(target)
	after := tokens(t, w.secret(target))
	if after[host("us-east-1")] != before[host("us-east-1")] || after[host("eu-west-1")] == before[host("eu-west-1")] {
		t.Error("the entry that was due is to be new, and the other as it was")
	}
	if w.mint.count() != 3 {
		t.Errorf("%d calls, want 3", w.mint.count())
	}
}

func TestEntriesComeAndGoWithoutTouchingOthers(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("a", "eu-west-1"), registry("b", "us-east-1"))
	w.run(target)
	before := tokens(t, w.secret(target))
	w.restart()
	w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) {
		c.Spec.Registries = []v1alpha1.Registry{registry("b", "us-east-1"), registry("c", "sa-east-1")}
	})
	w.run(target)
	after := tokens(t, w.secret(target))
	if after[host("us-east-1")] != before[host("us-east-1")] || after[host("sa-east-1")] == "" || len(after) != 2 {
		t.Errorf("%d tokens; b is to stay as it was, a to go and c to come", len(after))
	}
	w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) {
		c.Spec.Registries = []v1alpha1.Registry{registry("b", "us-east-1")}
	})
	w.run(target)
	if got := tokens(t, w.secret(target)); len(got) != 1 || w.mint.count() != 3 {
		t.Errorf("%d tokens, want 1, for no further call: %d", len(got), w.mint.count())
	}
}

func TestTwoEntriesForOneHostAreRefused(t *testing.T) {
	w, ns := newWorld(t)
	one, two := registry("one", "eu-west-1"), registry("two", "eu-west-1")
	two.ECR.ExternalID, two.ECR.RoleARN = "42", "arn:aws:iam::123456789012:role/other"
	target := w.apply(ns, nil, one, two)
	w.run(target)
	written := w.secret(target)
	if len(tokens(t, written)) != 1 {
		t.Error("the first entry is to have the host")
	}
	status := w.report(target)
	if got := status.Registries[1]; got.Reason != v1alpha1.ReasonDuplicateHost || !strings.Contains(got.Message, "one and two both claim the host "+host("eu-west-1")) {
		t.Errorf("entry two: %s: %s", got.Reason, got.Message)
	}
	w.run(target)
	if w.secret(target).ResourceVersion != written.ResourceVersion {
		t.Error("the Secret is written again and again")
	}
}

func TestASlowCloudHoldsUpAFirstSecretForNoMoreThanItsGrace(t *testing.T) {
	w, ns := newWorld(t)
	w.mint.hang["eu-west-1"] = true
	target := w.apply(ns, nil, registry("slow", "eu-west-1"), registry("good", "us-east-1"))
	w.run(target)
	<-w.woken
	if after := w.run(target).RequeueAfter; after != pendingGrace {
		t.Errorf("it is looked at again after %s, want %s", after, pendingGrace)
	}
	if err := w.admin.Get(t.Context(), target.Secret(), &corev1.Secret{}); err == nil {
		t.Error("the Secret was written twice for one credential")
	}
	w.step(pendingGrace)
	w.run(target)
	if got := tokens(t, w.secret(target)); got[host("us-east-1")] == "" || len(got) != 1 {
		t.Error("the entry that works was not published")
	}
}

func TestAnUnresolvedIdentityIsExplained(t *testing.T) {
	w, ns := newWorld(t)
	entry := registry("prod", "eu-west-1")
	entry.Identity = &v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: ns}}
	target := w.apply(ns, nil, entry)
	w.run(target)
	if ready := w.ready(target); ready.Reason != v1alpha1.ReasonIdentityNotFound || !strings.Contains(ready.Message, "ServiceAccount "+home+"/"+ns+" does not exist: create it") {
		t.Errorf("Ready: %s: %s", ready.Reason, ready.Message)
	}
	w.serviceAccount(home, ns, map[string]string{"role": "x"})
	w.run(target)
	if ready := w.ready(target); ready.Status != metav1.ConditionTrue {
		t.Errorf("Ready: %s: %s", ready.Reason, ready.Message)
	}
	// A changed annotation is a changed identity; a new UID is another's.
	sa := &corev1.ServiceAccount{}
	w.must(w.admin.Get(t.Context(), client.ObjectKey{Namespace: home, Name: ns}, sa))
	sa.Annotations["role"] = "y"
	w.must(w.admin.Update(t.Context(), sa))
	w.run(target)
	w.must(w.admin.Delete(t.Context(), sa))
	w.serviceAccount(home, ns, map[string]string{"role": "y"})
	w.run(target)
	if w.mint.count() != 3 {
		t.Errorf("%d calls, want one for each identity: 3", w.mint.count())
	}
}

func TestTheAmbientIdentityIsLentOnlyIfAllowed(t *testing.T) {
	w, ns := newWorld(t)
	c := &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "own"}}
	c.Spec.Registries = []v1alpha1.Registry{registry("prod", "eu-west-1")}
	w.must(w.admin.Create(t.Context(), c))
	target := credential.Target{Credential: credential.KeyOf(c), Namespace: ns, Name: c.Name}
	w.run(target)
	if w.mint.count() != 0 {
		t.Error("a token was minted with the controller's identity")
	}
	stalled := false
	for _, condition := range w.report(target).Conditions {
		stalled = stalled || condition.Type == v1alpha1.ConditionStalled && condition.Reason == v1alpha1.ReasonAmbientIdentityNotAllowed
	}
	if !stalled {
		t.Error("only a change of the spec can help, and Stalled does not say so")
	}
}

func TestWhatWasLentIsGivenBack(t *testing.T) {
	for name, end := range map[string]func(w *world, ns string){
		"the credential goes": func(w *world, ns string) {
			w.must(w.admin.Delete(w.Context(), w.credential(ns)))
		},
		"the credential went while nobody ran": func(w *world, ns string) {
			w.must(w.admin.Delete(w.Context(), w.credential(ns)))
			w.restart()
		},
		"the namespace is selected no longer": func(w *world, ns string) {
			w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) {
				c.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{"team": "other"}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, ns := newWorld(t)
			lent := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: ns, Labels: map[string]string{"theirs": "x"}, Annotations: map[string]string{v1alpha1.AnnotationAdopt: "true", "theirs": "y"}},
				Type:       corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{}}`)},
			}
			w.must(w.admin.Create(t.Context(), lent))
			target := w.apply(ns, nil, registry("prod", "eu-west-1"))
			due := w.run(target).RequeueAfter
			w.step(due)
			w.run(target) // a rotation, too, keeps the Secret without an owner
			before := w.secret(target)
			if found, ok := credential.TargetOf(before); !ok || found != target {
				t.Fatalf("an event of the Secret is of %v", found)
			}
			end(w, ns)
			w.run(target)
			after := w.secret(target)
			if after.UID != lent.UID || string(after.Data[corev1.DockerConfigJsonKey]) != string(before.Data[corev1.DockerConfigJsonKey]) {
				t.Error("the Secret was not left as it was")
			}
			if diff := cmp.Diff(map[string]string{"theirs": "x"}, after.Labels); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(map[string]string{v1alpha1.AnnotationAdopt: "true", "theirs": "y"}, after.Annotations); diff != "" {
				t.Errorf("annotations (-want +got):\n%s", diff)
			}
			if got := w.links(ns, "default"); len(got) > 0 {
				t.Errorf("still linked to %v", got)
			}
		})
	}
}

func TestARetainedSecretOutlivesItsCredential(t *testing.T) {
	w, ns := newWorld(t)
	retain := func(policy v1alpha1.DeletionPolicy) func(*v1alpha1.ClusterRegistryCredential) {
		return func(c *v1alpha1.ClusterRegistryCredential) { c.Spec.DeletionPolicy = policy }
	}
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	uid, calls := w.secret(target).UID, w.mint.count()
	w.change(ns, retain(v1alpha1.DeletionPolicyRetain))
	w.run(target)
	if s := w.secret(target); len(s.OwnerReferences) > 0 || s.Annotations[v1alpha1.AnnotationKeptBy] != target.Credential.Ref() || s.Annotations[v1alpha1.AnnotationRetain] != "true" {
		t.Errorf("not retained: %v %v", s.OwnerReferences, s.Annotations)
	}
	w.change(ns, retain(v1alpha1.DeletionPolicyDelete))
	w.run(target)
	if s := w.secret(target); !metav1.IsControlledBy(s, w.credential(ns)) || s.Annotations[v1alpha1.AnnotationKeptBy] != "" || s.Annotations[v1alpha1.AnnotationRetain] != "" {
		t.Errorf("still retained: %v %v", s.OwnerReferences, s.Annotations)
	}
	w.change(ns, retain(v1alpha1.DeletionPolicyRetain))
	w.run(target)
	w.report(target)
	if told := w.told(); !strings.Contains(told, "Normal Updated "+ns+": the Secret and its links stay from now on when the credential is deleted") {
		t.Errorf("when it is to be retained: %s", told)
	}
	w.must(w.admin.Delete(t.Context(), w.credential(ns)))
	before := w.secret(target)
	w.run(target)
	w.bury(target)
	if told := w.told(); !strings.Contains(told, "Normal Retained "+ns+": the Secret and its links stay as they are") {
		t.Errorf("when it is retained: %s", told)
	}
	w.bury(target)
	if told := w.told(); told != "" {
		t.Errorf("told twice: %s", told)
	}
	if after := w.secret(target); after.ResourceVersion != before.ResourceVersion || after.UID != uid {
		t.Error("the retained Secret was touched")
	}
	if diff := cmp.Diff([]string{ns}, w.links(ns, "default")); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	// A later one takes it up, whether or not anybody was there when the first one went.
	w.restart()
	target = w.apply(ns, func(s *v1alpha1.ClusterCredentialSpec) { s.DeletionPolicy = v1alpha1.DeletionPolicyRetain }, registry("prod", "eu-west-1"))
	w.run(target)
	w.expectReady("taken up again", w.ready(target), metav1.ConditionTrue, v1alpha1.ReasonCurrent)
	if after := w.secret(target); after.ResourceVersion != before.ResourceVersion {
		t.Error("the Secret was written when it was taken up again")
	}
	if got := w.mint.count(); got != calls {
		t.Errorf("%d calls for changes of the policy", got-calls)
	}
}
