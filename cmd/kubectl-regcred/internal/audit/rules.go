package audit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/dockerconfig"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/legacy"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/node"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/diagnosis"
)

// auditor looks over an inventory.
type auditor struct {
	*inventory
	now time.Time
	// soon is how near an expiry is told.
	soon time.Duration
	// private is whether nobody but a Secret lets pods pull from private registries.
	private  bool
	findings []Finding
}

// rules are what is looked for.
var rules = []func(*auditor){(*auditor).contents, (*auditor).links, (*auditor).named, (*auditor).differing, (*auditor).wide, (*auditor).uncovered, (*auditor).renewed}

// audit returns what is found, by severity and then by place.
func (a *auditor) audit() []Finding {
	for _, rule := range rules {
		rule(a)
	}
	slices.SortFunc(a.findings, func(x, y Finding) int {
		return cmp.Or(cmp.Compare(y.Severity.rank(), x.Severity.rank()), cmp.Compare(x.Fingerprint(), y.Fingerprint()))
	})
	return slices.CompactFunc(a.findings, func(x, y Finding) bool { return x.Fingerprint() == y.Fingerprint() })
}

func (a *auditor) find(c Code, kind string, at types.NamespacedName, registry, format string, args ...any) {
	a.findings = append(a.findings, Finding{
		Code: c.ID, Title: c.Name, Severity: c.Severity, Kind: kind, Namespace: at.Namespace, Name: at.Name, Registry: registry,
		Message: fmt.Sprintf(format, args...), Docs: c.Docs(),
	})
}

// keeper is the credential or else the tool that keeps the Secret, as far as its metadata says; empty if none does.
func (s *pullSecret) keeper() (name string, credentials bool) {
	if of, kept := credential.TargetOf(s); kept {
		return of.Credential.Kind() + " " + of.Credential.Name, true
	}
	if tool, writes := legacy.ToolOf(s); writes {
		return tool, false
	}
	return "", false
}

// contents is what the Secrets hold.
func (a *auditor) contents() {
	for at, s := range a.secrets {
		switch {
		case s.err == dockerconfig.ErrEmpty: //nolint:errorlint // it is never wrapped
			a.find(SecretEmpty, "Secret", at, "", "it holds no login: whoever names it pulls without one")
		case s.err != nil:
			a.find(SecretMalformed, "Secret", at, "", "its content cannot be parsed, and a kubelet then reads none of the Secrets of a pod that names it: write it anew")
		default:
			for _, key := range s.config.Keys() {
				a.login(at, s, key)
			}
		}
	}
}

func (a *auditor) login(at types.NamespacedName, s *pullSecret, key string) {
	l := s.config[key]
	keeper, credentials := s.keeper()
	switch {
	case !l.ExpiresAt.IsZero() && !l.ExpiresAt.After(a.now) && credentials:
		a.find(LoginExpired, "Secret", at, key, "the login for %s expired %s, and %s has not renewed it: kubectl regcred status says why", key, output.In(l.ExpiresAt, a.now), keeper)
	case !l.ExpiresAt.IsZero() && !l.ExpiresAt.After(a.now) && keeper != "":
		a.find(LoginExpired, "Secret", at, key, "the login for %s expired %s, and %s has not renewed it: look there, or let Regcred keep the Secret", key, output.In(l.ExpiresAt, a.now), keeper)
	case !l.ExpiresAt.IsZero() && !l.ExpiresAt.After(a.now):
		a.find(LoginExpired, "Secret", at, key, "the login for %s expired %s: renew it, or let Regcred keep the Secret", key, output.In(l.ExpiresAt, a.now))
	case credentials:
	case !l.ExpiresAt.IsZero() && l.ExpiresAt.Before(a.now.Add(a.soon)):
		a.find(LoginExpiring, "Secret", at, key, "the login for %s expires %s: see that it is renewed, or let Regcred keep the Secret", key, output.In(l.ExpiresAt, a.now))
	case keeper == "" && l.Kind != "" && l.Kind != dockerconfig.KindJWT:
		a.find(TokenUnattended, "Secret", at, key, "the login for %s is a short-lived token (%s): whatever renews it is not Regcred (kubectl regcred migrate looks for it)", key, l.Kind)
	}
}

// missing says whether there is no such Secret, and none to come.
func (a *auditor) missing(at types.NamespacedName) bool {
	return a.whole && a.secrets[at] == nil && !a.others[at] && !a.promises(at)
}

// links are the lists of ServiceAccounts.
func (a *auditor) links() {
	for at, linked := range a.accounts {
		for _, name := range linked {
			secret := types.NamespacedName{Namespace: at.Namespace, Name: name}
			switch {
			case name == "": // the kubelet skips it
			case a.missing(secret):
				a.find(LinkDangling, "ServiceAccount", at, name, "its imagePullSecrets name Secret %s, which does not exist: create it, or take the name off the list", name)
			case a.others[secret]:
				a.find(SecretOfWrongType, "Secret", secret, "", "ServiceAccount %s names it as a pull Secret, and it is of another type: replace it by one of type kubernetes.io/dockerconfigjson", at.Name)
			}
		}
	}
}

// named are the lists of workloads. What a pod got of its ServiceAccount is told of that.
func (a *auditor) named() {
	for _, w := range a.workloads {
		linked := a.accounts[types.NamespacedName{Namespace: w.namespace, Name: w.account}]
		for _, name := range w.secrets {
			secret := types.NamespacedName{Namespace: w.namespace, Name: name}
			switch {
			case name == "", w.pod && slices.Contains(linked, name):
			case a.missing(secret):
				a.find(SecretMissing, w.kind, w.at(), name, "it names pull Secret %s, which does not exist: create it, or take the name off the list", name)
			case a.others[secret]:
				a.find(SecretOfWrongType, "Secret", secret, "", "%s %s names it as a pull Secret, and it is of another type: replace it by one of type kubernetes.io/dockerconfigjson", w.kind, w.name)
			}
		}
	}
}

func (w *workload) at() types.NamespacedName {
	return types.NamespacedName{Namespace: w.namespace, Name: w.name}
}

// differing are Secrets of one list that disagree, and those that disagree with themselves.
func (a *auditor) differing() {
	for at, s := range a.secrets {
		var ring dockerconfig.Ring
		ring.Add(at.Name, s.config)
		for _, c := range ring.Clashes() {
			a.find(LoginsDiffer, "Secret", at, c[1].Key, "its logins for %s and %s differ, which mean the same, and the kubelet tries them in any order: keep one of them", c[0].Key, c[1].Key)
		}
	}
	for at, linked := range a.accounts {
		a.differ("ServiceAccount", at, linked)
	}
	for i := range a.workloads {
		w := &a.workloads[i]
		linked := a.accounts[types.NamespacedName{Namespace: w.namespace, Name: w.account}]
		if slices.ContainsFunc(w.secrets, func(name string) bool { return !slices.Contains(linked, name) }) {
			a.differ(w.kind, w.at(), w.secrets)
		}
	}
}

// differ finds Secrets of a list that disagree.
func (a *auditor) differ(kind string, at types.NamespacedName, list []string) {
	ring, _ := a.ring(at.Namespace, list)
	for _, c := range ring.Clashes() {
		if c[0].Secret != c[1].Secret {
			a.find(LoginsDiffer, kind, at, c[1].Key, "Secrets %s and %s have different logins for %s, and the kubelet tries %s first: keep one of them",
				c[0].Secret, c[1].Secret, c[1].Key, c[0].Secret)
		}
	}
}

// wide are links of the ServiceAccount default to registries that nobody of the namespace pulls from.
func (a *auditor) wide() {
	images := map[string][]diagnosis.Image{}
	for _, w := range a.workloads {
		for _, ref := range w.images {
			if i, ok := diagnosis.ParseImage(ref); ok {
				images[w.namespace] = append(images[w.namespace], i)
			}
		}
	}
	for at, linked := range a.accounts {
		if at.Name != "default" || len(images[at.Namespace]) == 0 {
			continue
		}
		for _, name := range linked {
			s := a.secrets[types.NamespacedName{Namespace: at.Namespace, Name: name}]
			if s == nil || len(s.config) == 0 {
				continue
			}
			keys := s.config.Keys()
			if !slices.ContainsFunc(images[at.Namespace], func(i diagnosis.Image) bool { return len(i.Choose(keys)) > 0 }) {
				a.find(LinkWide, "ServiceAccount", at, name, "every pod gets Secret %s, and none of the namespace pulls from %s: link it to the ServiceAccounts that do", name, strings.Join(keys, ", "))
			}
		}
	}
}

// uncovered are images of private registries that no Secret of their pods covers.
func (a *auditor) uncovered() {
	if !a.private {
		return
	}
	for n := range a.workloads {
		w := &a.workloads[n]
		ring, err := a.ring(w.namespace, a.listOf(w))
		for _, ref := range w.images {
			i, ok := diagnosis.ParseImage(ref)
			if ok && err == nil && node.CloudOf(i.Host) != "" && len(ring.For(i)) == 0 {
				a.find(ImageUncovered, w.kind, w.at(), i.Host, "no pull Secret of it covers %s, from where it pulls %s: link one, or add a credential (kubectl regcred init)", i.Host, i)
			}
		}
	}
}

// renewed are CronJobs that do what Regcred does.
func (a *auditor) renewed() {
	for _, c := range a.cronJobs {
		if tool := legacy.Tool(&c.Spec.JobTemplate.Spec.Template.Spec); tool != "" && (c.Spec.Suspend == nil || !*c.Spec.Suspend) {
			a.find(RenewedByCronJob, "CronJob", types.NamespacedName{Namespace: c.Namespace, Name: c.Name}, "",
				"it runs %s: if it fails once too often, pods cannot pull (kubectl regcred migrate)", tool)
		}
	}
}
