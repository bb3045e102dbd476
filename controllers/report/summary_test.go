package report

import (
	"k8s.io/client-go/tools/events"

	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
)

// ledgerOf is a ledger with these standings for a cluster-wide credential of two entries.
func ledgerOf(now time.Time, targets map[string]standing) (*Ledger, *credential.Credential) {
	o := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: "c", Generation: 2}}
	o.Spec.Registries = []v1alpha1.Registry{{Name: "a"}, {Name: "b"}}
	c, err := credential.Of(o)
	if err != nil {
		panic(err)
	}
	l := &Ledger{}
	l.open(c.Key, now).targets = targets
	return l, c
}

func TestReady(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	alive := entryStanding{expiresAt: now.Add(time.Hour), refreshAt: now.Add(time.Minute)}
	dead := entryStanding{expiresAt: now}
	failing := func(e entryStanding, terminal bool) entryStanding {
		e.failure = &credential.Failure{Reason: v1alpha1.ReasonAccessDenied, Message: "may not", Terminal: terminal}
		return e
	}
	stand := func(a, b entryStanding) standing {
		a.name, b.name = "a", "b"
		return standing{generation: 2, entries: []entryStanding{a, b}}
	}
	unlinked := stand(alive, alive)
	unlinked.failure = &credential.Failure{Reason: v1alpha1.ReasonLinkFailed, Message: "no"}
	for name, c := range map[string]struct {
		targets  map[string]standing
		status   metav1.ConditionStatus
		reason   string
		says     string
		current  int32
		stalled  bool
		observed int64
	}{
		"nothing selected":  {nil, metav1.ConditionTrue, v1alpha1.ReasonNoTargets, "No namespace", 0, false, 2},
		"all alive":         {map[string]standing{"x": stand(alive, alive), "y": stand(alive, alive)}, metav1.ConditionTrue, v1alpha1.ReasonCurrent, "every registry", 2, false, 2},
		"one refresh fails": {map[string]standing{"x": stand(alive, failing(alive, false))}, metav1.ConditionTrue, v1alpha1.ReasonRefreshFailing, "b: may not", 1, false, 2},
		"a dead token":      {map[string]standing{"x": stand(alive, alive), "y": stand(failing(dead, false), alive)}, metav1.ConditionFalse, v1alpha1.ReasonExpired, "1 of 2 namespaces cannot pull from every registry: a: the token has expired; a: may not", 1, false, 2},
		"no token yet":      {map[string]standing{"x": stand(entryStanding{}, alive)}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "being minted", 0, false, 2},
		"terminal":          {map[string]standing{"x": stand(failing(entryStanding{}, true), alive)}, metav1.ConditionFalse, v1alpha1.ReasonAccessDenied, "a: may not", 0, true, 2},
		"not linked":        {map[string]standing{"x": unlinked}, metav1.ConditionFalse, v1alpha1.ReasonLinkFailed, "x: no", 0, false, 2},
		"an older spec served": {map[string]standing{"x": {generation: 1, entries: stand(alive, alive).entries}},
			metav1.ConditionTrue, v1alpha1.ReasonCurrent, "", 1, false, 1},
	} {
		l, cred := ledgerOf(now, c.targets)
		var selected []string
		for ns := range c.targets {
			selected = append(selected, ns)
		}
		sum := l.sum(cred, selected, now)
		status := &v1alpha1.ClusterCredentialStatus{CredentialStatus: v1alpha1.CredentialStatus{ObservedGeneration: -1}}
		sum.fill(cred, status)
		ready := status.Conditions[0]
		if ready.Status != c.status || ready.Reason != c.reason || !strings.Contains(ready.Message, c.says) {
			t.Errorf("%s: Ready=%s %s: %s", name, ready.Status, ready.Reason, ready.Message)
		}
		if live := map[int32]string{0: "", 1: "2/2", 2: "2/2"}[c.current]; live != "" && len(c.targets) == int(c.current) && status.RegistriesCurrent != live {
			t.Errorf("%s: registries %s", name, status.RegistriesCurrent)
		}
		if status.Namespaces.Current != c.current || (len(status.Conditions) == 2) != c.stalled || status.ObservedGeneration != c.observed {
			t.Errorf("%s: %d current, %d conditions, observed generation %d", name, status.Namespaces.Current, len(status.Conditions), status.ObservedGeneration)
		}
	}
}

func TestFailuresAreGroupedByReason(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	targets := map[string]standing{}
	var selected []string
	add := func(reason string, since time.Duration) {
		ns := fmt.Sprintf("ns-%02d", len(targets))
		selected = append(selected, ns)
		targets[ns] = standing{failure: &credential.Failure{Reason: reason, Message: "why"}, failingSince: now.Add(-since)}
	}
	for i := range 25 {
		add(v1alpha1.ReasonSecretConflict, time.Duration(i)*time.Minute)
	}
	for i := range 11 {
		add(fmt.Sprintf("Reason%d", i), time.Hour+time.Duration(i)*time.Minute)
	}
	l, c := ledgerOf(now, targets)
	failures := l.sum(c, selected, now).failures
	if len(failures) != 10 || failures[0].Reason != "Reason10" || failures[0].Count != 1 {
		t.Errorf("%v", failures)
	}
	l, c = ledgerOf(now, targets)
	sum := l.sum(c, selected[:25], now)
	if g := sum.failures[0]; sum.conflicting != 25 || len(sum.failures) != 1 || g.Count != 25 || fmt.Sprint(g.Namespaces) != "[ns-24 ns-23 ns-22 ns-21 ns-20]" {
		t.Errorf("%d conflicting: %v", sum.conflicting, sum.failures)
	}
}

func TestEqualNewsAreOneEvent(t *testing.T) {
	_, c := ledgerOf(time.Time{}, nil)
	recorder := events.NewFakeRecorder(10)
	var all []news
	for i := range 214 {
		all = append(all, news{reason: eventIssued, note: "the Secret holds tokens", namespace: fmt.Sprintf("ns-%03d", i)})
	}
	recordNews(t.Context(), recorder, c, append(all, news{warning: true, reason: "AccessDenied", note: strings.Repeat("ü", 2000)}))
	told := []string{<-recorder.Events, <-recorder.Events}
	if len(recorder.Events) != 0 || told[0] != "Normal Issued ns-000, ns-001, ns-002, ns-003, ns-004 and 209 more: the Secret holds tokens" {
		t.Errorf("%d events more: %s", len(recorder.Events), told[0])
	}
	if note := strings.TrimPrefix(told[1], "Warning AccessDenied "); len(note) > credential.MaxText || !strings.HasSuffix(note, "…") {
		t.Errorf("a note of %d bytes, and the API server takes %d", len(note), credential.MaxText)
	}
}

func TestAStatusOfManyTargetsWhoseTimesAloneHaveChangedIsWrittenOnceAMinute(t *testing.T) {
	at := func(hour int) *metav1.Time { return &metav1.Time{Time: time.Date(2026, 1, 1, hour, 0, 0, 0, time.UTC)} }
	status := func(hour int, reason string) *v1alpha1.ClusterCredentialStatus {
		s := &v1alpha1.ClusterCredentialStatus{}
		s.ExpiresAt, s.RefreshAt = at(hour), at(hour)
		s.Registries = []v1alpha1.RegistryStatus{{Name: "a", ExpiresAt: at(hour), RefreshAt: at(hour), Reason: reason}}
		return s
	}
	for name, c := range map[string]struct {
		is       *v1alpha1.ClusterCredentialStatus
		selected int
		since    time.Duration
		want     time.Duration
	}{
		"times of many, at once":     {status(2, ""), 11, 0, time.Minute},
		"times of many, later":       {status(2, ""), 11, 59 * time.Second, time.Second},
		"times of many, late enough": {status(2, ""), 11, time.Minute, 0},
		"times of few":               {status(2, ""), 10, 0, 0},
		"more than times":            {status(2, v1alpha1.ReasonThrottled), 11, 0, 0},
	} {
		if got := postpone(status(1, ""), c.is, c.selected, c.since); max(got, 0) != c.want {
			t.Errorf("%s: waits %s, want %s", name, got, c.want)
		}
	}
}
