package controllers

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

var noon = time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC)

// heldBy is what a credential of the name holds for ecrImage.
func heldBy(name string, change func(*holding, *v1alpha1.ServiceAccounts)) holding {
	c := &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}}
	c.Spec.Registries = []v1alpha1.Registry{registry("prod", "eu-west-1")}
	c.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Names: []string{"default"}}
	h := holding{credential: &credential{Key: keyOf(c), object: c, spec: &c.Spec}, wanted: true}
	h.covering, h.key = &record{Name: "prod", ExpiresAt: noon.Add(time.Hour)}, host("eu-west-1")
	if change != nil {
		change(&h, c.Spec.ServiceAccounts)
	}
	return h
}

func TestTheCauseOfAFailedPull(t *testing.T) {
	type accounts = *v1alpha1.ServiceAccounts
	refused := &failure{reason: v1alpha1.ReasonAccessDenied, message: "the role may not get a token"}
	uncovers := func(h *holding, _ accounts) { h.covering = nil }
	evicts := func(_ *holding, s accounts) { s.RecoverPods = v1alpha1.RecoverPodsEvict }
	for name, c := range map[string]struct {
		holdings        []holding
		secrets, linked []string
		recreated       bool
		cause           string
		says            string
		try, evict      bool
		wait            bool
		about           string
	}{
		"no credential covers the registry": {holdings: []holding{heldBy("a", uncovers), heldBy("b", uncovers)}, secrets: []string{"a"},
			cause: v1alpha1.CauseNotCovered, says: "no credential covers registry 123456789012.dkr.ecr.eu-west-1.amazonaws.com: add it to the registries of RegistryCredential team/a or RegistryCredential team/b", about: "a"},
		"a Secret is not complete": {holdings: []holding{heldBy("a", uncovers), heldBy("b", func(h *holding, _ accounts) { h.covering, h.missing, h.failure = nil, "prod", refused })},
			cause: v1alpha1.CauseTokenMissing, says: "Secret b holds no token of the entry prod yet, and none for registry 123456789012.dkr.ecr.eu-west-1.amazonaws.com: the role may not get a token", about: "b"},
		"a Secret is on its way": {holdings: []holding{heldBy("b", func(h *holding, _ accounts) { h.covering, h.missing = nil, "prod" })},
			cause: v1alpha1.CauseTokenMissing, says: "it is being minted", wait: true, about: "b"},
		"another entry of the covering Secret is missing": {holdings: []holding{heldBy("a", func(h *holding, _ accounts) { h.missing = "other" })}, secrets: []string{"a"}, try: true, about: "a"},
		"the token has expired": {holdings: []holding{heldBy("a", func(h *holding, _ accounts) { h.covering.ExpiresAt, h.failure = noon, refused })}, secrets: []string{"a"},
			cause: v1alpha1.CauseTokenExpired, says: "in Secret a has expired at 2026-11-24T12:00:00Z: the role may not get a token", about: "a"},
		"the token lives":                      {holdings: []holding{heldBy("a", nil)}, secrets: []string{"x", "a"}, try: true, about: "a"},
		"the Secret of another that covers it": {holdings: []holding{heldBy("a", nil), heldBy("b", nil)}, secrets: []string{"b"}, try: true, about: "b"},
		"the pod came first": {holdings: []holding{heldBy("a", nil)}, linked: []string{"a"},
			cause: v1alpha1.CausePodBeforeLink, says: "the pod was created before ServiceAccount default was linked to Secret a: recreate it, or set serviceAccounts.recoverPods: Evict", about: "a"},
		"the pod came first and is evicted": {holdings: []holding{heldBy("a", evicts)}, linked: []string{"a"},
			cause: v1alpha1.CausePodBeforeLink, says: "recreate it", evict: true, about: "a"},
		"the pod came between two links": {holdings: []holding{heldBy("a", evicts)}, secrets: []string{"x"}, linked: []string{"x", "a"},
			cause: v1alpha1.CausePodBeforeLink, evict: true, about: "a"},
		"the pod has come again without it": {holdings: []holding{heldBy("a", evicts)}, secrets: []string{"x"}, linked: []string{"x", "a"}, recreated: true,
			cause: v1alpha1.CausePodNamesOwnSecrets, about: "a"},
		"the second of two covering is linked": {holdings: []holding{heldBy("b", evicts), heldBy("a", evicts)}, linked: []string{"a"},
			cause: v1alpha1.CausePodBeforeLink, evict: true, about: "a"},
		"a list of its own": {holdings: []holding{heldBy("a", evicts)}, secrets: []string{"mine"}, linked: []string{"a"},
			cause: v1alpha1.CausePodNamesOwnSecrets, says: "the pod names its own imagePullSecrets (mine), so it does not inherit those of ServiceAccount default: add a to its list, or remove the list", about: "a"},
		"a list of its own, and no link": {holdings: []holding{heldBy("a", evicts)}, secrets: []string{"mine"},
			cause: v1alpha1.CausePodNamesOwnSecrets, about: "a"},
		"a link that is to be": {holdings: []holding{heldBy("a", func(h *holding, s accounts) {
			h.failure = &failure{message: "the API server refuses to change ServiceAccount team/default"}
			evicts(h, s)
		})}, cause: v1alpha1.CauseNotLinked, says: "ServiceAccount default is not linked to Secret a yet: the API server refuses", about: "a"},
		"a link that is on its way": {holdings: []holding{heldBy("a", nil)}, cause: v1alpha1.CauseNotLinked, says: "recreate the pod when it is", wait: true, about: "a"},
		"no link": {holdings: []holding{heldBy("a", func(h *holding, s accounts) { h.wanted = false; evicts(h, s) })},
			cause: v1alpha1.CauseNotLinked, says: "ServiceAccount default is not among serviceAccounts of RegistryCredential team/a, and the pod does not name Secret a: add one or the other", about: "a"},
	} {
		t.Run(name, func(t *testing.T) {
			i, _ := parseImage(ecrImage)
			f := diagnose(evidence{image: i, pod: puller{name: "app", account: "default", secrets: c.secrets}, linked: c.linked,
				recreated: c.recreated, holdings: c.holdings, now: noon})
			if f.cause != c.cause || f.try != c.try || f.evict != c.evict || f.wait != c.wait || f.good {
				t.Errorf("got %+v", f)
			}
			if !strings.Contains(f.note, c.says) || (f.note == "") != c.try {
				t.Errorf("it says %q, not %q", f.note, c.says)
			}
			if got := f.about.credential.Name; got != c.about {
				t.Errorf("it is about %s, want %s", got, c.about)
			}
		})
	}
}

func TestATrialCompletesTheFinding(t *testing.T) {
	i, _ := parseImage(ecrImage)
	h := heldBy("a", nil)
	e := evidence{image: i, holdings: []holding{h}, now: noon}
	for name, c := range map[string]struct {
		verdict     providers.Verdict
		cause, says string
		good        bool
	}{
		"allowed": {providers.Verdict{Result: providers.PullAllowed}, v1alpha1.CausePullAllowed, "the token in Secret a may pull " + i.String() + " now", true},
		"denied": {providers.Verdict{Result: providers.PullDenied, Answer: "HTTP status 403, DENIED", Cure: "allow it"}, v1alpha1.CausePullDenied,
			"the token in Secret a is fresh, but the controller's own identity may not pull " + i.String() + " (HTTP status 403, DENIED): allow it", false},
		"refused": {providers.Verdict{Result: providers.LoginRefused, Answer: "HTTP status 401"}, v1alpha1.CauseTokenRefused, "refuses the token in Secret a (HTTP status 401): it is replaced", false},
	} {
		f := e.judge(finding{about: &h, try: true}, c.verdict)
		if f.cause != c.cause || f.good != c.good || !strings.Contains(f.note, c.says) {
			t.Errorf("%s: %+v", name, f)
		}
	}
	f := e.undecided(finding{about: &h, try: true}, providers.Errorf(v1alpha1.ReasonUnavailable, "it does not answer"))
	if f.cause != v1alpha1.CauseUndecided || !strings.Contains(f.note, "it does not answer") {
		t.Errorf("undecided: %+v", f)
	}
}

func TestWhoMayNotPullIsNamed(t *testing.T) {
	for want, entry := range map[string]v1alpha1.Registry{
		"role arn:aws:iam::1:role/pull":         {Name: "prod", ECR: &v1alpha1.ECR{RoleARN: "arn:aws:iam::1:role/pull"}},
		"the controller's own identity":         {Name: "prod", ECR: &v1alpha1.ECR{}},
		"the identity of ServiceAccount puller": {Name: "prod", Identity: &v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: "puller"}}},
		"the identity in Secret keys":           {Name: "prod", Identity: &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: "keys"}}},
		"its identity":                          {Name: "renamed"},
	} {
		h := heldBy("a", nil)
		h.credential.spec.Registries = []v1alpha1.Registry{entry}
		if got := h.identity(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
