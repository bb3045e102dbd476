package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/target"
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
	b := l.open(c.Key, now)
	b.targets = targets
	b.Unlock()
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
	unlinked.failure, unlinked.unlinked = &credential.Failure{Reason: v1alpha1.ReasonLinkFailed, Message: "no"}, true
	conflicting := stand(entryStanding{}, entryStanding{})
	conflicting.failure = &credential.Failure{Reason: v1alpha1.ReasonSecretConflict, Message: "it is somebody's"}
	rejected := stand(alive, alive)
	rejected.failure = &credential.Failure{Reason: v1alpha1.ReasonSecretRejected, Message: "a quota"}
	expiredByQuota := stand(dead, alive)
	expiredByQuota.failure = rejected.failure
	tooLarge := stand(entryStanding{}, entryStanding{})
	tooLarge.failure = &credential.Failure{Reason: v1alpha1.ReasonSecretRejected, Message: "too large", Terminal: true}
	unanswered := stand(alive, alive)
	unanswered.generation = 0
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
		"a namespace in conflict beside a good one": {map[string]standing{"x": stand(alive, alive), "y": conflicting}, metav1.ConditionTrue, v1alpha1.ReasonPartial,
			"1 of 2 namespaces cannot pull from every registry: SecretConflict in y: it is somebody's", 1, false, 2},
		"every namespace in conflict":                 {map[string]standing{"x": conflicting}, metav1.ConditionFalse, v1alpha1.ReasonSecretConflict, "x: it is somebody's", 0, false, 2},
		"a namespace not linked beside a good one":    {map[string]standing{"x": stand(alive, alive), "y": unlinked}, metav1.ConditionTrue, v1alpha1.ReasonPartial, "LinkFailed in y: no", 1, false, 2},
		"a quota beside live tokens":                  {map[string]standing{"x": rejected}, metav1.ConditionTrue, v1alpha1.ReasonRefreshFailing, "x: a quota", 1, false, 2},
		"a token that a quota let expire":             {map[string]standing{"x": stand(alive, alive), "y": expiredByQuota}, metav1.ConditionTrue, v1alpha1.ReasonPartial, "SecretRejected in y: a quota", 1, false, 2},
		"what the spec is to blame for, in one":       {map[string]standing{"x": stand(alive, alive), "y": tooLarge}, metav1.ConditionFalse, v1alpha1.ReasonSecretRejected, "y: too large", 1, true, 2},
		"one that waits beside a good one":            {map[string]standing{"x": stand(alive, alive), "y": stand(entryStanding{}, entryStanding{})}, metav1.ConditionTrue, v1alpha1.ReasonPartial, "Progressing in y", 1, false, 2},
		"one that has answered no spec yet":           {map[string]standing{"x": stand(alive, alive), "y": unanswered}, metav1.ConditionTrue, v1alpha1.ReasonCurrent, "", 2, false, 0},
		"the credential's fault beside a namespace's": {map[string]standing{"x": stand(alive, alive), "y": conflicting, "z": stand(failing(dead, false), alive)}, metav1.ConditionFalse, v1alpha1.ReasonExpired, "2 of 3", 1, false, 2},
		"an older spec served": {map[string]standing{"x": {generation: 1, entries: stand(alive, alive).entries}},
			metav1.ConditionTrue, v1alpha1.ReasonCurrent, "", 1, false, 1},
	} {
		l, cred := ledgerOf(now, c.targets)
		sum := l.sum(cred, slices.Sorted(maps.Keys(c.targets)), now)
		status := &v1alpha1.ClusterCredentialStatus{CredentialStatus: v1alpha1.CredentialStatus{ObservedGeneration: -1}}
		sum.fill(cred, status)
		ready := status.Conditions[0]
		if ready.Status != c.status || ready.Reason != c.reason || !strings.Contains(ready.Message, c.says) {
			t.Errorf("%s: Ready=%s %s: %s", name, ready.Status, ready.Reason, ready.Message)
		}
		if live := map[int32]string{0: "", 1: "2/2", 2: "2/2"}[c.current]; live != "" && len(c.targets) == int(c.current) && status.RegistriesCurrent != live {
			t.Errorf("%s: registries %s", name, status.RegistriesCurrent)
		}
		if ready.ObservedGeneration != c.observed {
			t.Errorf("%s: the condition speaks of generation %d, want %d", name, ready.ObservedGeneration, c.observed)
		}
		if status.Namespaces.Current != c.current || (len(status.Conditions) == 2) != c.stalled || status.ObservedGeneration != c.observed {
			t.Errorf("%s: %d current, %d conditions, observed generation %d", name, status.Namespaces.Current, len(status.Conditions), status.ObservedGeneration)
		}
	}
}

func TestWhatWasNotReachedIsNeverCalledGood(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	alive := func(name string) entryStanding { return entryStanding{name: name, expiresAt: now.Add(time.Hour)} }
	l, c := ledgerOf(now, map[string]standing{"x": {generation: 2, entries: []entryStanding{alive("a"), alive("b")}}})
	sum := l.sum(c, []string{"x", "y"}, now)
	status := &v1alpha1.ClusterCredentialStatus{CredentialStatus: v1alpha1.CredentialStatus{ObservedGeneration: 1, LastHandledRefreshAt: "before"}}
	sum.fill(c, status)
	ready := status.Conditions[0]
	if ready.Reason != v1alpha1.ReasonPartial || ready.ObservedGeneration != 1 || status.ObservedGeneration != 1 || status.LastHandledRefreshAt != "before" {
		t.Errorf("Ready=%s %s of generation %d: %s", ready.Status, ready.Reason, ready.ObservedGeneration, ready.Message)
	}
	if f := status.Failures; len(f) != 1 || f[0].Reason != v1alpha1.ReasonProgressing || fmt.Sprint(f[0].Namespaces) != "[y]" {
		t.Errorf("failures: %v", status.Failures)
	}
}

func TestARefreshIsHandledOnceEveryTargetHasAnswered(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for want, targets := range map[string]map[string]standing{
		"new":    {"x": {generation: 2, refresh: "new"}, "y": {generation: 2, refresh: "new"}},
		"before": {"x": {generation: 2, refresh: "new"}, "y": {generation: 2, refresh: "old"}},
	} {
		l, c := ledgerOf(now, targets)
		c.Object.SetAnnotations(map[string]string{v1alpha1.AnnotationRefreshRequestedAt: "new"})
		status := &v1alpha1.ClusterCredentialStatus{CredentialStatus: v1alpha1.CredentialStatus{LastHandledRefreshAt: "before"}}
		sum := l.sum(c, []string{"x", "y"}, now)
		sum.fill(c, status)
		if status.LastHandledRefreshAt != want {
			t.Errorf("%v: handled %q, want %q", targets, status.LastHandledRefreshAt, want)
		}
	}
}

func TestARefreshRequestThatIsTooLongIsToldOnce(t *testing.T) {
	ledger, c := ledgerOf(time.Time{}, nil)
	told := ""
	for _, length := range []int{64, 65, 65, 64, 65} {
		c.Object.SetAnnotations(map[string]string{v1alpha1.AnnotationRefreshRequestedAt: strings.Repeat("x", length)})
		told += fmt.Sprint(len(ledger.takeNews(c)))
		if got := ledger.sum(c, nil, time.Time{}).refresh; (len(got) == 64) != (length == 64) {
			t.Errorf("of a request of %d bytes, one of %d is answered", length, len(got))
		}
	}
	if told != "01001" {
		t.Errorf("told: %s", told)
	}
}

func TestATargetAnswersWhenTheCallHasEnded(t *testing.T) {
	_, c := ledgerOf(time.Time{}, nil)
	c.Object.SetAnnotations(map[string]string{v1alpha1.AnnotationRefreshRequestedAt: "now"})
	before := standing{generation: 1, refresh: "before"}
	for want, s := range map[string]standing{"1 before": {pending: true}, "2 now": {failure: &credential.Failure{Reason: v1alpha1.ReasonAccessDenied}}} {
		if s.answer(c, before); fmt.Sprint(s.generation, " ", s.refresh) != want {
			t.Errorf("answered %d %s, want %s", s.generation, s.refresh, want)
		}
	}
}

func TestASuspendedCredentialIsAsGoodAsItsTokens(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	entries := func(expiresAt time.Time) standing {
		return standing{generation: 2, entries: []entryStanding{{name: "a", expiresAt: expiresAt}, {name: "b", expiresAt: expiresAt}}}
	}
	for want, s := range map[metav1.ConditionStatus]standing{
		metav1.ConditionTrue: entries(now.Add(time.Hour)), metav1.ConditionFalse: entries(now), metav1.ConditionUnknown: entries(time.Time{}),
	} {
		l, c := ledgerOf(now, map[string]standing{"x": s})
		c.Spec.Suspend = true
		sum := l.sum(c, []string{"x"}, now)
		if ready := sum.ready(c); ready.Status != want || ready.Reason != v1alpha1.ReasonSuspended {
			t.Errorf("Ready=%s %s, want %s: %s", ready.Status, ready.Reason, want, ready.Message)
		}
	}
}

func TestOneNamespaceDoesNotSpeakForASuspendedCredential(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	of := func(expiresAt time.Time) standing {
		return standing{generation: 2, entries: []entryStanding{{name: "a", expiresAt: expiresAt}, {name: "b", expiresAt: expiresAt}}}
	}
	for what, theirs := range map[string]standing{"an expired record": of(now.Add(-time.Hour)), "a deleted Secret": of(time.Time{})} {
		l, c := ledgerOf(now, map[string]standing{"x": of(now.Add(time.Hour)), "y": theirs})
		c.Spec.Suspend = true
		sum := l.sum(c, []string{"x", "y"}, now)
		ready := sum.ready(c)
		if ready.Status != metav1.ConditionTrue || ready.Message != "1 of 2 namespaces cannot pull from every registry: spec.suspend keeps them from being served" {
			t.Errorf("%s: Ready=%s: %s", what, ready.Status, ready.Message)
		}
	}
}

func TestTimesAreNotThoseOfANamespaceThatIsAtFault(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	of := func(expiresAt time.Time, failure *credential.Failure) standing {
		e := entryStanding{expiresAt: expiresAt, refreshAt: expiresAt.Add(-time.Minute), verified: metav1.ConditionUnknown}
		a, b := e, e
		a.name, b.name = "a", "b"
		return standing{generation: 2, entries: []entryStanding{a, b}, failure: failure}
	}
	immutable := &credential.Failure{Reason: v1alpha1.ReasonSecretRejected, Message: "it is immutable"}
	dead, alive := now.Add(-time.Hour), now.Add(time.Hour)
	for what, c := range map[string]struct {
		others standing
		want   time.Time
	}{
		"beside a sound one":     {of(alive, nil), alive},
		"beside another like it": {of(alive, immutable), dead},
	} {
		l, cred := ledgerOf(now, map[string]standing{"x": c.others, "y": of(dead, immutable)})
		sum := l.sum(cred, []string{"x", "y"}, now)
		if got := sum.registries[0].ExpiresAt; got == nil || !got.Equal(&metav1.Time{Time: c.want}) {
			t.Errorf("%s: the status says %v, want %s", what, got, c.want)
		}
		rows, _ := l.rows(now)
		if got := rows[0].entries[0].expiresAt; !got.Equal(c.want) {
			t.Errorf("%s: the metric says %s, want %s", what, got, c.want)
		}
	}
}

func TestFailuresAreGroupedByReasonTheMostSevereFirst(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	alive := entryStanding{expiresAt: now.Add(time.Hour)}
	targets := map[string]standing{}
	add := func(reason string, e entryStanding, count int) {
		for range count {
			a, b := e, e
			a.name, b.name = "a", "b"
			targets[fmt.Sprintf("ns-%02d", len(targets))] = standing{entries: []entryStanding{a, b}, failingSince: now,
				failure: &credential.Failure{Reason: reason, Message: "why"}}
		}
	}
	add("Harmless", alive, 20)
	add(v1alpha1.ReasonSecretConflict, entryStanding{}, 7)
	for i := range 11 {
		add(fmt.Sprintf("Rare%02d", i), alive, 1)
	}
	l, c := ledgerOf(now, targets)
	sum := l.sum(c, slices.Sorted(maps.Keys(targets)), now)
	first, second := sum.failures[0], sum.failures[1]
	if len(sum.failures) != 10 || first.Reason != v1alpha1.ReasonSecretConflict || first.Count != 7 || second.Reason != "Harmless" || second.Count != 20 || sum.conflicting != 7 {
		t.Errorf("%d conflicting: %v", sum.conflicting, sum.failures)
	}
	if got := fmt.Sprint(first.Namespaces); got != "[ns-20 ns-21 ns-22 ns-23 ns-24]" {
		t.Errorf("it names %s", got)
	}
	if got := first.String(); got != "SecretConflict in ns-20, ns-21, ns-22, ns-23, ns-24 and 2 more: why" {
		t.Errorf("in words: %s", got)
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

func TestAStatusIsNotComparedWithAnOlderOne(t *testing.T) {
	l, c := ledgerOf(time.Time{}, nil)
	r := &StatusReconciler{Ledger: l}
	c.Object.SetResourceVersion("99")
	if r.stale(c) {
		t.Error("stale before anything was written")
	}
	c.Object.SetResourceVersion("100")
	l.writeStatus(c, time.Time{})
	for version, want := range map[string]bool{"99": true, "100": false, "101": false} {
		c.Object.SetResourceVersion(version)
		if r.stale(c) != want {
			t.Errorf("at version %s after a write of 100: stale is %t", version, !want)
		}
	}
}

func TestARestartAlertsNobody(t *testing.T) {
	reported := &v1alpha1.ClusterCredentialStatus{CredentialStatus: v1alpha1.CredentialStatus{ObservedGeneration: 1}}
	first := &v1alpha1.ClusterCredentialStatus{CredentialStatus: v1alpha1.CredentialStatus{ObservedGeneration: -1}}
	bad := &located{&credential.Failure{}, "a"}
	for name, c := range map[string]struct {
		sum  summary
		was  *v1alpha1.ClusterCredentialStatus
		want time.Duration
	}{
		"never reported":                {summary{unheard: 1, age: time.Second}, first, 4 * time.Second},
		"reported by another":           {summary{unheard: 1, age: time.Second}, reported, 59 * time.Second},
		"reported, and bad news":        {summary{unheard: 1, age: 5 * time.Second, failing: bad}, reported, 0},
		"reported, and all heard of":    {summary{age: time.Second}, reported, 0},
		"reported, and not heard of":    {summary{unheard: 1, age: time.Minute}, reported, 0},
		"reported, a namespace's fault": {summary{unheard: 1, age: 5 * time.Second, failingOwn: bad}, reported, 0},
	} {
		if got := quiet(c.sum, c.was); max(got, 0) != c.want {
			t.Errorf("%s: waits %s, want %s", name, got, c.want)
		}
	}
}

// The names of entries are a tenant's to choose, and each comes with the hosts of its token.
func TestAnEntryThatIsRenamedAgainAndAgainLeavesNothingBehind(t *testing.T) {
	b := newBookkeeper()
	for n := range 100 {
		name := fmt.Sprintf("entry-%d", n)
		b.c.Spec.Registries = []v1alpha1.Registry{{Name: name}}
		e := entryHolding(name, time.Hour, time.Hour)
		e.Fresh, e.Record.Hosts = true, []string{"registry.example.com"}
		b.report("a", target.Outcome{Wrote: target.CauseNew, Entries: []*target.EntryState{e}})
		b.Ledger.sum(b.c, []string{"a"}, metricsStart)
	}
	if book := b.Ledger.books[b.c.Key]; len(book.minted) != 1 || len(book.latest) != 1 {
		t.Errorf("hosts of %d entries and tokens of %d are remembered, want one of each", len(book.minted), len(book.latest))
	}
}
