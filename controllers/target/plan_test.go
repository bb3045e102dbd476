package target

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/controllers/view"
)

func TestTaskFor(t *testing.T) {
	wanted := func(change func(*v1alpha1.ClusterRegistryCredential)) *credential.Credential {
		o := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: "pull", UID: "uid"}}
		o.Spec.NamespaceSelector = v1alpha1.Selector{MatchLabels: map[string]v1alpha1.LabelValue{"pull": "true"}}
		change(o)
		c, err := credential.Of(o)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	as := func(*v1alpha1.ClusterRegistryCredential) {}
	suspended := func(o *v1alpha1.ClusterRegistryCredential) { o.Spec.Suspend = true }
	selected, other := view.NamespaceMetadata(), view.NamespaceMetadata()
	selected.Name, selected.Labels = "shop", map[string]string{"pull": "true"}
	other.Name = "shop"
	for name, c := range map[string]struct {
		credential *credential.Credential
		ns         client.Object
		secret     string
		excluded   view.Excluded
		want       task
	}{
		"selected":                            {wanted(as), selected, "pull", nil, taskServe},
		"selected by a suspended one":         {wanted(suspended), selected, "pull", nil, taskServe},
		"no namespace":                        {wanted(as), nil, "pull", nil, taskForget},
		"no credential":                       {nil, selected, "pull", nil, taskGiveUp},
		"neither":                             {nil, nil, "pull", nil, taskForget},
		"not selected":                        {wanted(as), other, "pull", nil, taskGiveUp},
		"not selected by a suspended one":     {wanted(suspended), other, "pull", nil, taskForget},
		"excluded":                            {wanted(as), selected, "pull", view.Excluded{"sh*"}, taskGiveUp},
		"another Secret than the spec's":      {wanted(as), selected, "former", nil, taskRelease},
		"another Secret, not selected either": {wanted(as), other, "former", nil, taskRelease},
		"another Secret of a suspended one":   {wanted(suspended), other, "former", nil, taskRelease},
		"another Secret in an excluded place": {wanted(as), selected, "former", view.Excluded{"shop"}, taskRelease},
	} {
		target := credential.Target{Credential: credential.Key{Name: "pull"}, Namespace: "shop", Name: c.secret}
		if got := taskFor(target, c.credential, c.ns, c.excluded); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestPlan(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	held := &EntryState{Known: true, Record: pullsecret.Record{ExpiresAt: now.Add(-time.Hour)}}
	fresh := &EntryState{Fresh: true, Cause: CauseDue}
	pending := &EntryState{pendingSince: now.Add(time.Second - pendingGrace)}
	late := &EntryState{pendingSince: now.Add(-pendingGrace)}
	lapsed := &EntryState{optional: true, Known: true, Record: pullsecret.Record{ExpiresAt: now}}
	live := &EntryState{optional: true, Known: true, Record: pullsecret.Record{ExpiresAt: now.Add(time.Second)}}
	byHand := &EntryState{optional: true, Known: true, OverrideUntil: now, Record: pullsecret.Record{ExpiresAt: now}}
	for name, c := range map[string]struct {
		stale   Cause
		entries []*EntryState
		step    step
		why     Cause
	}{
		"nothing to do":                           {"", []*EntryState{held}, stepLeave, ""},
		"no entry":                                {"", nil, stepLeave, ""},
		"a new token":                             {"", []*EntryState{held, fresh}, stepPublish, ""},
		"an edited Secret":                        {CauseEdited, []*EntryState{held}, stepPublish, CauseEdited},
		"only tokens under way":                   {"", []*EntryState{held, pending}, stepLeave, ""},
		"a token, and one under way":              {"", []*EntryState{fresh, pending}, stepWait, ""},
		"an edited Secret, and a token under way": {CauseEdited, []*EntryState{pending}, stepWait, CauseEdited},
		"a token, and one under way for long":     {"", []*EntryState{fresh, late}, stepPublish, ""},
		"one under way for long does not wait":    {"", []*EntryState{fresh, pending, late}, stepPublish, ""},
		"a login that does harm":                  {"", []*EntryState{lapsed, held}, stepPublish, CauseLapsed},
		"the same in an edited Secret":            {CauseEdited, []*EntryState{lapsed}, stepPublish, CauseEdited},
		"a login that is optional and live":       {"", []*EntryState{live}, stepLeave, ""},
		"an optional login by hand past its time": {"", []*EntryState{byHand}, stepLeave, ""},
	} {
		if step, why := plan(c.stale, c.entries, now); step != c.step || why != c.why {
			t.Errorf("%s: %v %q, want %v %q", name, step, why, c.step, c.why)
		}
	}
}
