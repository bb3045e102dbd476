package pulls

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/diagnosis"
)

func TestTheFailuresOfOneNamespaceMakeNobodyElsesBeForgotten(t *testing.T) {
	now := clocktesting.NewFakePassiveClock(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC))
	f, e := newFailing(now), newEvictions(now)
	victim := diagnosis.FailedPull{Namespace: "victim", Pod: "app"}
	f.admit(victim)
	f.close(victim)
	f.tell("victim", types.UID("app"), "cause")
	e.claim(workload{"victim", "app"}, now.Now())
	e.futile.Put(workload{"victim", "job"}, struct{}{})
	for n := range 2 * maxRemembered {
		mine := diagnosis.FailedPull{Namespace: "mallory", Pod: fmt.Sprint(n)}
		f.admit(mine)
		f.close(mine)
		f.tell("mallory", types.UID(mine.Pod), "cause")
		e.claim(workload{"mallory", types.UID(mine.Pod)}, now.Now())
		e.futile.Put(workload{"mallory", types.UID(mine.Pod)}, struct{}{})
	}
	if f.admit(victim) {
		t.Error("a failure that was looked into lately is looked into again")
	}
	if f.tell("victim", types.UID("app"), "cause") {
		t.Error("what was told lately is told again")
	}
	if e.claim(workload{"victim", "app"}, now.Now()) {
		t.Error("a second pod of one owner is evicted")
	}
	if !e.recreated(workload{"victim", "job"}, now.Now(), now.Now()) {
		t.Error("an owner that evictions do not help is not known any more")
	}
}

func TestEachNamespaceTellsTheClustersCredentialOfACause(t *testing.T) {
	now := clocktesting.NewFakePassiveClock(time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC))
	f, platform := newFailing(now), credential.Key{Name: "platform"}
	told := 0
	tell := func(namespace string) bool {
		news := f.tellCredential(namespace, platform, "cause", now.Now())
		if news {
			told++
		}
		return news
	}
	for range 100 {
		tell("mallory")
	}
	if !tell("victim") || told != 2 {
		t.Errorf("told %d times of two namespaces", told)
	}
	for n := range 1000 {
		tell(fmt.Sprint("many-", n))
	}
	if told != namespacesAtOnce {
		t.Errorf("told of %d namespaces at once, want %d", told, namespacesAtOnce)
	}
	now.SetTime(now.Now().Add(tellEvery))
	if !tell("later") || tell("too-many") {
		t.Errorf("not told of one more %s later", tellEvery)
	}
	now.SetTime(now.Now().Add(tellEvery))
	if !tell("too-many") {
		t.Error("whoever was not let through is held to have told")
	}
	for n := range 100 { // that of a namespace has only its own
		if !f.tellCredential("a", credential.Key{Namespace: "a", Name: "own"}, fmt.Sprint("cause", n), now.Now()) {
			t.Error("a namespace's own credential is not told")
		}
	}
}
