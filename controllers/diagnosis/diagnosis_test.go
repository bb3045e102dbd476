package diagnosis

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

var noon = time.Date(2026, time.November, 24, 12, 0, 0, 0, time.UTC)

const ecrHost = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"

// heldBy is what a credential of the name holds for ecrImage.
func heldBy(name string, change func(*Holding)) Holding {
	h := Holding{
		Credential: "RegistryCredential team/" + name, Secret: name, Wanted: true,
		Covering: &Cover{Key: ecrHost, Entry: &v1alpha1.Registry{Name: "prod", ECR: &v1alpha1.ECR{Region: "eu-west-1"}}, ExpiresAt: noon.Add(time.Hour)},
	}
	if change != nil {
		change(&h)
	}
	return h
}

func TestTheCauseOfAFailedPull(t *testing.T) {
	const refused = "the role may not get a token"
	uncovers := func(h *Holding) { h.Covering = nil }
	evicts := func(h *Holding) { h.Recovers = true }
	for name, c := range map[string]struct {
		holdings        []Holding
		secrets, linked []string
		recreated       bool
		withLogin       string
		cause           string
		says            string
		try, evict      bool
		wait            bool
		about           string
		tries           []string
	}{
		"not found, with a login": {holdings: []Holding{heldBy("a", nil)}, secrets: []string{"a"}, withLogin: v1alpha1.CauseImageNotFound,
			cause: v1alpha1.CauseImageNotFound, says: "answered a pull that showed the login of Secret a"},
		"too many requests, with a login": {holdings: []Holding{heldBy("a", nil)}, secrets: []string{"a"}, withLogin: v1alpha1.CauseRateLimited,
			cause: v1alpha1.CauseRateLimited, says: "answered a pull"},
		"too many requests, with a login that has expired": {holdings: []Holding{heldBy("a", func(h *Holding) { h.Covering.ExpiresAt, h.Failure = noon, refused })},
			secrets: []string{"a"}, withLogin: v1alpha1.CauseRateLimited, cause: v1alpha1.CauseTokenExpired, says: refused, about: "a"},
		"not found, without a login": {holdings: []Holding{heldBy("a", nil)}, linked: []string{"a"}, withLogin: v1alpha1.CauseImageNotFound,
			cause: v1alpha1.CausePodBeforeLink, says: "was created before", about: "a"},
		"too many requests, without a login": {holdings: []Holding{heldBy("a", func(h *Holding) { h.Wanted = false })}, withLogin: v1alpha1.CauseRateLimited,
			cause: v1alpha1.CauseNotLinked, says: "is not among serviceAccounts", about: "a"},
		"too many requests, and no credential covers it": {holdings: []Holding{heldBy("a", uncovers)}, withLogin: v1alpha1.CauseRateLimited,
			cause: v1alpha1.CauseNotCovered, says: "no credential covers", about: "a"},
		"not found, and no credential covers it": {holdings: []Holding{heldBy("a", uncovers)}, withLogin: v1alpha1.CauseImageNotFound,
			cause: v1alpha1.CauseImageNotFound, says: "has no such image, or it is private and no credential covers registry"},
		"not found, with Secrets of others": {holdings: []Holding{heldBy("a", nil)}, secrets: []string{"mine"}, withLogin: v1alpha1.CauseImageNotFound,
			cause: v1alpha1.CauseImageNotFound},
		"two Secrets of one key": {holdings: []Holding{heldBy("a", nil), heldBy("b", nil)}, secrets: []string{"b", "a"}, try: true, about: "b", tries: []string{"b", "a"}},
		"the more particular key is shown first": {holdings: []Holding{heldBy("a", nil), heldBy("b", func(h *Holding) { h.Covering.Key += "/team" })},
			secrets: []string{"a", "b"}, try: true, about: "b", tries: []string{"b", "a"}},
		"one of two has expired": {holdings: []Holding{heldBy("a", func(h *Holding) { h.Covering.ExpiresAt = noon }), heldBy("b", nil)}, secrets: []string{"a", "b"},
			try: true, about: "b", tries: []string{"b"}},
		"no credential covers the registry": {holdings: []Holding{heldBy("a", uncovers), heldBy("b", uncovers)}, secrets: []string{"a"},
			cause: v1alpha1.CauseNotCovered, says: "no credential covers registry 123456789012.dkr.ecr.eu-west-1.amazonaws.com: add it to the registries of RegistryCredential team/a or RegistryCredential team/b", about: "a"},
		"a Secret is not complete": {holdings: []Holding{heldBy("a", uncovers), heldBy("b", func(h *Holding) { h.Covering, h.Missing, h.Failure = nil, "prod", refused })},
			cause: v1alpha1.CauseTokenMissing, says: "Secret b holds no token of the entry prod yet, and none for registry 123456789012.dkr.ecr.eu-west-1.amazonaws.com: the role may not get a token", about: "b"},
		"a Secret is on its way": {holdings: []Holding{heldBy("b", func(h *Holding) { h.Covering, h.Missing = nil, "prod" })},
			cause: v1alpha1.CauseTokenMissing, says: "it is being minted", wait: true, about: "b"},
		"another entry of the covering Secret is missing": {holdings: []Holding{heldBy("a", func(h *Holding) { h.Missing = "other" })}, secrets: []string{"a"}, try: true, about: "a"},
		"the token has expired": {holdings: []Holding{heldBy("a", func(h *Holding) { h.Covering.ExpiresAt, h.Failure = noon, refused })}, secrets: []string{"a"},
			cause: v1alpha1.CauseTokenExpired, says: "in Secret a has expired at 2026-11-24T12:00:00Z: the role may not get a token", about: "a"},
		"the token lives":                      {holdings: []Holding{heldBy("a", nil)}, secrets: []string{"x", "a"}, try: true, about: "a"},
		"the Secret of another that covers it": {holdings: []Holding{heldBy("a", nil), heldBy("b", nil)}, secrets: []string{"b"}, try: true, about: "b"},
		"the pod came first": {holdings: []Holding{heldBy("a", nil)}, linked: []string{"a"},
			cause: v1alpha1.CausePodBeforeLink, says: "the pod was created before ServiceAccount default was linked to Secret a: recreate it, or set serviceAccounts.recoverPods: Evict", about: "a"},
		"the pod came first and is evicted": {holdings: []Holding{heldBy("a", evicts)}, linked: []string{"a"},
			cause: v1alpha1.CausePodBeforeLink, says: "recreate it", evict: true, about: "a"},
		"the pod came between two links": {holdings: []Holding{heldBy("a", evicts)}, secrets: []string{"x"}, linked: []string{"x", "a"},
			cause: v1alpha1.CausePodBeforeLink, evict: true, about: "a"},
		"the pod has come again without it": {holdings: []Holding{heldBy("a", evicts)}, secrets: []string{"x"}, linked: []string{"x", "a"}, recreated: true,
			cause: v1alpha1.CausePodNamesOwnSecrets, about: "a"},
		"the second of two covering is linked": {holdings: []Holding{heldBy("b", evicts), heldBy("a", evicts)}, linked: []string{"a"},
			cause: v1alpha1.CausePodBeforeLink, evict: true, about: "a"},
		"a list of its own": {holdings: []Holding{heldBy("a", evicts)}, secrets: []string{"mine"}, linked: []string{"a"},
			cause: v1alpha1.CausePodNamesOwnSecrets, says: "the pod names its own imagePullSecrets (mine), so it does not inherit those of ServiceAccount default: add a to its list, or remove the list", about: "a"},
		"a long list of its own, in which others may write anything": {holdings: []Holding{heldBy("a", evicts)}, secrets: []string{"a message\nto you", "b", "c", "d", "e"}, linked: []string{"a"},
			cause: v1alpha1.CausePodNamesOwnSecrets, says: "imagePullSecrets (b, c, d and 1 more), so", about: "a"},
		"a list of what is no name": {holdings: []Holding{heldBy("a", evicts)}, secrets: []string{"a message\nto you"}, linked: []string{"a"},
			cause: v1alpha1.CausePodNamesOwnSecrets, says: "imagePullSecrets (none of which can be the name of a Secret), so", about: "a"},
		"a list of its own, and no link": {holdings: []Holding{heldBy("a", evicts)}, secrets: []string{"mine"},
			cause: v1alpha1.CausePodNamesOwnSecrets, about: "a"},
		"a link that is to be": {holdings: []Holding{heldBy("a", func(h *Holding) {
			h.Failure = "the API server refuses to change ServiceAccount team/default"
			evicts(h)
		})}, cause: v1alpha1.CauseNotLinked, says: "ServiceAccount default is not linked to Secret a yet: the API server refuses", about: "a"},
		"a link that is on its way": {holdings: []Holding{heldBy("a", nil)}, cause: v1alpha1.CauseNotLinked, says: "recreate the pod when it is", wait: true, about: "a"},
		"no link": {holdings: []Holding{heldBy("a", func(h *Holding) { h.Wanted = false; evicts(h) })},
			cause: v1alpha1.CauseNotLinked, says: "ServiceAccount default is not among serviceAccounts of RegistryCredential team/a, and the pod does not name Secret a: add one or the other", about: "a"},
	} {
		t.Run(name, func(t *testing.T) {
			i, _ := ParseImage(ecrImage)
			f := Diagnose(Evidence{Image: i, Pod: Pod{Account: "default", Secrets: c.secrets}, Linked: c.linked,
				Recreated: c.recreated, Holdings: c.holdings, WithLogin: c.withLogin, Now: noon})
			if f.Cause != c.cause || (len(f.Try) > 0) != c.try || f.Evict != c.evict || f.Wait != c.wait || f.Good {
				t.Errorf("got %+v", f)
			}
			if !strings.Contains(f.Note, c.says) || c.says != "" && f.Note == "" {
				t.Errorf("it says %q, not %q", f.Note, c.says)
			}
			if got := secretOf(f.About); got != c.about {
				t.Errorf("it is about %q, want %q", got, c.about)
			}
			var tries []string
			for _, h := range f.Try {
				tries = append(tries, h.Secret)
			}
			if c.tries != nil && !slices.Equal(tries, c.tries) {
				t.Errorf("it tries %v, want %v", tries, c.tries)
			}
		})
	}
}

func secretOf(h *Holding) string {
	if h == nil {
		return ""
	}
	return h.Secret
}

func TestATrialCompletesTheFinding(t *testing.T) {
	i, _ := ParseImage(ecrImage)
	h := heldBy("a", nil)
	static := heldBy("b", func(h *Holding) {
		h.Covering.Entry = &v1alpha1.Registry{Name: "hub", Static: &v1alpha1.Static{}, Identity: &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: "robot"}}}
	})
	refused := providers.Verdict{Result: providers.LoginRefused, Answer: "HTTP status 401"}
	e := Evidence{Image: i, Holdings: []Holding{h}, Mirror: "mirror.example", Now: noon}
	for name, c := range map[string]struct {
		about       *Holding
		verdict     providers.Verdict
		remedy      Remedy
		cause, says string
		good        bool
	}{
		"allowed": {&h, providers.Verdict{Result: providers.PullAllowed}, Replaced, v1alpha1.CausePullAllowed,
			"the token in Secret a may pull " + i.String() + " now: the kubelet tries again by itself; if it fails again, it is mirror.example that refuses", true},
		"denied": {&h, providers.Verdict{Result: providers.PullDenied, Answer: "HTTP status 403, DENIED", Cure: "allow it"}, Replaced, v1alpha1.CausePullDenied,
			"the token in Secret a is fresh, but the controller's own identity may not pull " + i.String() + " (HTTP status 403, DENIED): allow it", false},
		"refused": {&h, refused, Replaced, v1alpha1.CauseTokenRefused, "refuses the token in Secret a (HTTP status 401): it is replaced", false},
		"refused, and changed": {&h, refused, Restored, v1alpha1.CauseTokenRefused,
			"refuses the token in Secret a (HTTP status 401): this Secret is written anew", false},
		"refused, and somebody's own": {&static, refused, Repeated, v1alpha1.CauseTokenRefused,
			"refuses the token in Secret b (HTTP status 401): no other can be had until the identity in Secret robot is mended", false},
	} {
		f := e.Judge(c.about, c.verdict, c.remedy)
		if f.Cause != c.cause || f.Good != c.good || !strings.Contains(f.Note, c.says) {
			t.Errorf("%s: %+v", name, f)
		}
	}
	f := e.Undecided(&h, "it does not answer")
	if f.Cause != v1alpha1.CauseUndecided || !strings.Contains(f.Note, "it does not answer") {
		t.Errorf("undecided: %+v", f)
	}
}

func TestAMirrorIsWhoAnswered(t *testing.T) {
	i, _ := ParseImage(ecrImage)
	e := Evidence{Image: i, Pod: Pod{Secrets: []string{"a"}}, Holdings: []Holding{heldBy("a", nil)}, WithLogin: v1alpha1.CauseRateLimited, Mirror: "mirror.example", Now: noon}
	if f := Diagnose(e); f.Note != "mirror.example answered a pull that showed the login of Secret a" {
		t.Errorf("it says %q", f.Note)
	}
}

func TestTheFirstOfSeveralIsBlamed(t *testing.T) {
	a, b := heldBy("a", nil), heldBy("b", nil)
	one := Finding{About: &a, Cause: v1alpha1.CausePullDenied, Note: "a may not"}
	if got := NoneOf([]Finding{one}); got.Note != "a may not" {
		t.Errorf("of one: %s", got.Note)
	}
	got := NoneOf([]Finding{one, {About: &b, Cause: v1alpha1.CauseTokenRefused, Note: "b is refused"}})
	if got.Cause != v1alpha1.CausePullDenied || got.About != &a || got.Note != "none of the Secrets a, b helps: a may not" {
		t.Errorf("of two: %+v", got)
	}
}

func TestWhoMayNotPullIsNamed(t *testing.T) {
	for want, entry := range map[string]*v1alpha1.Registry{
		"role arn:aws:iam::1:role/pull":         {Name: "prod", ECR: &v1alpha1.ECR{RoleARN: "arn:aws:iam::1:role/pull"}},
		"the controller's own identity":         {Name: "prod", ECR: &v1alpha1.ECR{}},
		"the identity of ServiceAccount puller": {Name: "prod", Identity: &v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: "puller"}}},
		"the identity in Secret keys":           {Name: "prod", Identity: &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: "keys"}}},
		"its identity":                          nil,
	} {
		h := heldBy("a", nil)
		h.Covering.Entry = entry
		if got := h.identity(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
