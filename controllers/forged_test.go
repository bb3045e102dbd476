package controllers

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
)

// countReads counts what the controller reads past its cache.
func (w *world) countReads() *int {
	w.Helper()
	watched, err := client.NewWithWatch(cluster.Config, client.Options{Scheme: w.admin.Scheme()})
	w.must(err)
	reads := 0
	w.Live = interceptor.NewClient(watched, interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
		reads++
		return c.Get(ctx, key, o, opts...)
	}})
	return &reads
}

// patch changes the target's Secret as somebody who writes under a field manager's name.
func (w *world) patch(t credential.Target, manager, merge string) {
	w.Helper()
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: t.Namespace, Name: t.Name}}
	w.must(w.admin.Patch(w.Context(), s, client.RawPatch(types.MergePatchType, []byte(merge)), client.FieldOwner(manager)))
}

const (
	emptied  = `{"stringData":{".dockerconfigjson":"{\"auths\":{}}"}}`
	strange  = `{"stringData":{".dockerconfigjson":"{\"auths\":7}"}}`
	harmless = `{"metadata":{"labels":{"cost-centre":"7"}}}`
)

// another is a docker config with another login for the hosts of the regions.
func another(regions ...string) string {
	var auths []string
	for _, region := range regions {
		auths = append(auths, fmt.Sprintf(`\"%s\":{\"auth\":\"%s\"}`, host(region), base64.StdEncoding.EncodeToString([]byte("AWS:wrong"))))
	}
	return `{"stringData":{".dockerconfigjson":"{\"auths\":{` + strings.Join(auths, ",") + `}}"}}`
}

func TestWhatOthersWriteUnderOurNameIsRepairedAtTheCostOfAtMostOneRead(t *testing.T) {
	for name, merge := range map[string]string{
		"emptied": emptied, "no logins": strange, "another login": another("eu-west-1"),
		"another host in the record": `{"metadata":{"annotations":{"regcred.dev/registries":%q}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			w, ns := newWorld(t)
			target := w.apply(ns, nil, registry("prod", "eu-west-1"))
			reads := w.countReads()
			w.run(target)
			before, first := w.secret(target), *reads
			if name == "another host in the record" {
				record := before.Annotations[pullsecret.AnnotationRegistries]
				merge = fmt.Sprintf(merge, replaced(t, record, host("eu-west-1"), host("us-east-1")))
			}
			w.patch(target, v1alpha1.FieldManager, merge)
			w.run(target)
			after := w.secret(target)
			if !cmp.Equal(before.Data, after.Data) || !cmp.Equal(before.Annotations, after.Annotations) || before.UID != after.UID {
				t.Error("the Secret is not what it was")
			}
			w.run(target)
			want := 1
			if name == "another host in the record" {
				want = 0 // that it is another shows in the cache
			}
			if *reads != first+want || w.mint.count() != 1 || w.secret(target).ResourceVersion != after.ResourceVersion {
				t.Errorf("%d reads and %d calls, want %d and none", *reads-first, w.mint.count()-1, want)
			}
		})
	}
}

func TestAChangeOfWhatIsNotOursCostsOneReadAndNoWrite(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	reads := w.countReads()
	w.patch(target, "kubectl", harmless)
	changed := w.secret(target).ResourceVersion
	w.run(target)
	w.run(target)
	if *reads != 1 || w.secret(target).ResourceVersion != changed {
		t.Errorf("%d reads, want one, and no write", *reads)
	}
}

func TestComparingReadsHaveABudget(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	reads := w.countReads()
	var again time.Duration
	for i := range 20 {
		w.patch(target, "heart", fmt.Sprintf(`{"metadata":{"annotations":{"beat":"%d"}}}`, i))
		w.step(time.Second)
		again = w.run(target).RequeueAfter
	}
	if *reads < 6 || *reads > 9 {
		t.Errorf("%d reads for twenty changes in twenty seconds", *reads)
	}
	if again <= 0 || again > 5*time.Minute {
		t.Errorf("looked at again after %s", again)
	}
	// What is forged meanwhile is found when its time has come.
	before := w.secret(target)
	w.patch(target, v1alpha1.FieldManager, emptied)
	w.run(target)
	w.step(again)
	w.run(target)
	if !cmp.Equal(w.secret(target).Data, before.Data) {
		t.Error("what was forged is not repaired")
	}
}

// Two namespaces hold a token. After a restart, nobody knows what was written there: one may empty its Secret, and gets another token, and
// the other does not notice.
func TestAfterARestartWhatIsForgedConcernsItsNamespaceAlone(t *testing.T) {
	for name, merge := range map[string]string{"emptied": emptied, "no logins": strange, "one login more": another("eu-west-1", "us-east-1")} {
		t.Run(name, func(t *testing.T) {
			w, ns := newWorld(t)
			w.must(w.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns + "-b", Labels: map[string]string{"team": ns}}}))
			first := w.apply(ns, nil, registry("prod", "eu-west-1"))
			second := credential.Target{Credential: first.Credential, Namespace: ns + "-b", Name: first.Name}
			w.run(first)
			w.run(second)
			neighbour := w.secret(second)
			w.restart()
			reads := w.countReads()
			w.run(first)
			w.run(second)
			if *reads != 0 || w.mint.count() != 1 {
				t.Fatalf("a restart costs %d reads and %d calls", *reads, w.mint.count()-1)
			}
			w.patch(first, v1alpha1.FieldManager, merge)
			w.run(first)
			w.run(second)
			if len(tokens(t, w.secret(first))) != 1 || *reads != 1 || w.mint.count() != 2 {
				t.Errorf("%d tokens, %d reads, %d calls; want one of each", len(tokens(t, w.secret(first))), *reads, w.mint.count()-1)
			}
			if w.secret(second).ResourceVersion != neighbour.ResourceVersion {
				t.Error("the neighbour's Secret was written")
			}
		})
	}
}

// After a restart, another entry is due in a Secret whose content was taken away: it gets all of its tokens.
func TestASecretThatDoesNotFitItsRecordIsMadeWholeWhenItIsReadBack(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"), registry("stage", "us-east-1"))
	w.run(target)
	w.patch(target, v1alpha1.FieldManager, emptied)
	w.restart()
	w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) {
		c.Spec.Registries[0].ECR.Accounts = []string{"210987654321"}
	})
	for range 3 {
		if _, err := w.Reconcile(t.Context(), target); err != nil || !w.waits(target) {
			break
		}
		<-w.woken
	}
	w.run(target)
	if got := tokens(t, w.secret(target)); len(got) != 2 {
		t.Errorf("%d logins, want both", len(got))
	}
}

// What fills one namespace's Secret is that namespace's affair: the credential is not said to have too many entries.
func TestAForgedLoginThatFillsTheSecretIsItsNamespacesAffair(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"), registry("stage", "us-east-1"))
	w.run(target)
	full := func(login string) string {
		return fmt.Sprintf(`{"auths":{%q:{"auth":"QTpi"},%q:{"auth":%q}}}`, host("eu-west-1"), host("us-east-1"), base64.StdEncoding.EncodeToString([]byte(login)))
	}
	room := (corev1.MaxSecretSize - len(full(""))) / 4 * 3
	w.patch(target, v1alpha1.FieldManager, fmt.Sprintf(`{"stringData":{".dockerconfigjson":%q}}`, full("A:"+strings.Repeat("b", room-2))))
	w.restart()
	w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) {
		c.Spec.Registries[0].ECR.Accounts = []string{"210987654321"}
	})
	if again := w.run(target).RequeueAfter; again <= 0 {
		t.Error("it is never looked at again")
	}
	status := w.report(target)
	if f := status.Failures; len(f) != 1 || f[0].Reason != v1alpha1.ReasonSecretRejected || !strings.Contains(f[0].Message, "delete it") {
		t.Errorf("failures: %v", f)
	}
	if stalled := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionStalled); stalled != nil && stalled.Status == metav1.ConditionTrue {
		t.Errorf("stalled: %s", stalled.Message)
	}
	w.must(w.admin.Delete(t.Context(), w.secret(target)))
	w.run(target)
	if got := tokens(t, w.secret(target)); len(got) != 2 {
		t.Errorf("%d logins in the new Secret", len(got))
	}
}

// replaced replaces a text that must be there.
func replaced(t *testing.T, in, what, by string) string {
	t.Helper()
	out := strings.ReplaceAll(in, what, by)
	if out == in {
		t.Fatalf("%s is not in %s", what, in)
	}
	return out
}

// One entry is due while another's bytes are read back: what was forged there meanwhile, and not compared for want of budget, is not
// published as ours.
func TestWhatIsNotComparedYetIsNotPublishedAgain(t *testing.T) {
	w, ns := newWorld(t)
	target := w.apply(ns, nil, registry("prod", "eu-west-1"), registry("stage", "us-east-1"))
	w.run(target)
	for i := range 12 {
		w.patch(target, "heart", fmt.Sprintf(`{"metadata":{"annotations":{"beat":"%d"}}}`, i))
		w.run(target)
	}
	w.Tokens = newTokens(w)
	w.patch(target, v1alpha1.FieldManager, another("eu-west-1", "us-east-1"))
	w.change(ns, func(c *v1alpha1.ClusterRegistryCredential) {
		c.Spec.Registries[0].ECR.Accounts = []string{"210987654321"}
	})
	for range 3 {
		if _, err := w.Reconcile(t.Context(), target); err != nil || !w.waits(target) {
			break
		}
		<-w.woken
	}
	w.step(5 * time.Minute)
	w.run(target)
	got := tokens(t, w.secret(target))
	if len(got) != 2 {
		t.Errorf("published %d logins, want 2", len(got))
	}
	for host, password := range got {
		if password == "wrong" {
			t.Errorf("the forged login for %s was published again", host)
		}
	}
}
