package why

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/dockerconfig"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/node"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/diagnosis"
)

// walk goes the kubelet's way for one image of a subject.
type walk struct {
	*facts
	s     *subject
	image diagnosis.Image
	now   time.Time
	pull  Pull

	list    []string
	account *account
	// logins are those that the kubelet tries, in its order.
	logins []login
	// evidence and tries are of logins of credentials that only a trial can judge.
	evidence diagnosis.Evidence
	tries    []*diagnosis.Holding
	// words are what the kubelet has said.
	words diagnosis.FailedPull
	// unread is whether a Secret of the list could not be read.
	unread bool
	// fatal is what keeps the kubelet from reading the list at all, and lame what only fails to help.
	fatal, lame *Pull
}

// login is one that the kubelet shows to the registry.
type login struct {
	secret, key string
	dockerconfig.Login
}

// judge says whether the image is pulled, and if not why.
func (f *facts) judge(ctx context.Context, s *subject, image string, now time.Time) (Pull, error) {
	w := &walk{facts: f, s: s, now: now, pull: Pull{Namespace: s.namespace, Who: []string{s.name}, Image: image}}
	var ok bool
	if w.image, ok = diagnosis.ParseImage(image); !ok {
		w.pull.add("image", Bad, "%s cannot be parsed", image)
		w.pull.end(Fails, v1alpha1.CauseOther, "the image reference cannot be parsed: correct it")
		return w.pull, nil
	}
	w.pull.add("image", Good, "%s is at registry %s", image, w.image.Host)
	for _, step := range []func(context.Context) error{w.readList, w.readSecrets, w.decide, w.ask} {
		if err := step(ctx); err != nil {
			return w.pull, err
		}
	}
	return w.pull, nil
}

// readList is how a pod comes to its list: it brings one, or admission copies that of its ServiceAccount when the pod is created.
func (w *walk) readList(ctx context.Context) (err error) {
	w.account, err = w.facts.account(ctx, w.s.namespace, w.s.account)
	if err != nil {
		return err
	}
	switch own := w.s.secrets; {
	case w.s.made && len(own) == 0:
		w.pull.add("pod", Unknown, "the pod has no imagePullSecrets")
	case len(own) > 0:
		w.pull.add("pod", Good, "the pod has imagePullSecrets %s", strings.Join(own, ", "))
	default:
		w.pull.add("pod", Good, "the template names no imagePullSecrets, so that its pods get those of the ServiceAccount")
	}
	linked := w.account.linked
	switch w.account.presence {
	case cluster.Unreadable:
		w.pull.add("account", Unknown, "ServiceAccount %s could not be read", w.s.account)
	case cluster.Absent:
		w.pull.add("account", Bad, "ServiceAccount %s does not exist", w.s.account)
	case cluster.Present:
		w.pull.add("account", Good, "ServiceAccount %s has imagePullSecrets %s", w.s.account, orNone(linked))
	}
	w.list = w.s.secrets
	if !w.s.made && len(w.list) == 0 {
		w.list = linked
	}
	return nil
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "(none)"
	}
	return strings.Join(names, ", ")
}

// readSecrets reads the Secrets of the list as the kubelet does: it leaves out what is missing or of another type, and gives up at what it
// cannot parse (pkg/credentialprovider/secrets).
func (w *walk) readSecrets(ctx context.Context) error {
	byKey := map[string][]login{}
	for _, name := range w.list {
		s, err := w.secret(ctx, w.s.namespace, name)
		if err != nil {
			return err
		}
		var problem Pull
		switch {
		case s.presence == cluster.Unreadable:
			w.unread = true
			w.pull.add("Secret", Unknown, "%s could not be read", name)
			continue
		case s.presence == cluster.Absent:
			problem.end(Fails, CauseSecretMissing, "Secret %s does not exist in namespace %s, and no other of the pod's covers registry %s: create it, or take it off the list",
				name, w.s.namespace, w.image.Host)
			w.pull.add("Secret", Bad, "%s does not exist", name)
		case errors.Is(s.err, dockerconfig.ErrMalformed):
			problem.end(Fails, CauseSecretMalformed, "Secret %s cannot be parsed, and the kubelet then reads none of the pod's Secrets: write it anew", name)
			w.pull.add("Secret", Bad, "%s: %s", name, s.err)
			w.fatal = &problem
			continue
		case s.err != nil:
			problem.end(Fails, CauseSecretType, "Secret %s is of no use to the kubelet (%s): replace it by one of type kubernetes.io/dockerconfigjson", name, s.err)
			w.pull.add("Secret", Bad, "%s: %s", name, s.err)
		default:
			for key, l := range s.config {
				byKey[key] = append(byKey[key], login{name, key, l})
			}
			w.pull.add("Secret", Good, "%s has logins for %s", name, short(s.config.Keys()))
			continue
		}
		w.lame = &problem
	}
	var keys []string
	for key := range byKey {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range w.image.Choose(keys) {
		w.logins = append(w.logins, byKey[key]...)
	}
	return nil
}

// decide finds the cause: what the kubelet has said of the network and the registry, what its Secrets hold, and then what the credentials
// of the namespace have, as the controller decides it.
func (w *walk) decide(ctx context.Context) error {
	var text string
	var said bool
	w.words, text, said = w.s.words(w.pull.Image, w.events[event{w.s.uid, w.pull.Image}].text)
	defer func() {
		if said {
			w.pull.add("kubelet", Bad, "%s", text)
		}
	}()
	if w.fatal != nil {
		w.pull.Result, w.pull.Cause, w.pull.Note = w.fatal.Result, w.fatal.Cause, w.fatal.Note
		return nil
	}
	live := w.live()
	if w.words.Cause != "" {
		w.pull.end(Fails, w.words.Cause, "%s", cureOf(w.words.Cause, w.image))
		return nil
	}
	if live && !w.s.failing() {
		w.pull.end(Works, "", "the kubelet shows the login for %s in Secret %s, which has not expired as far as it says: --probe asks the registry", w.logins[0].key, w.logins[0].secret)
		return nil
	}
	holdings, err := w.holdings(ctx)
	if err != nil {
		return err
	}
	if len(holdings) > 0 && !w.foreign(holdings) && !w.lamed(holdings) {
		w.byDiagnosis(holdings)
		return nil
	}
	w.withoutCredential(live)
	return nil
}

// live says of each login whether it has expired, and whether there is one that has not.
func (w *walk) live() bool {
	live := false
	for _, l := range w.logins {
		switch {
		case l.ExpiresAt.IsZero():
			w.pull.add("login", Good, "%s in %s (%s) does not say when it expires", l.key, l.secret, kindOf(l))
			live = true
		case l.ExpiresAt.After(w.now):
			w.pull.add("login", Good, "%s in %s (%s) expires %s", l.key, l.secret, kindOf(l), output.In(l.ExpiresAt, w.now))
			live = true
		default:
			w.pull.add("login", Bad, "%s in %s (%s) has expired %s", l.key, l.secret, kindOf(l), output.In(l.ExpiresAt, w.now))
		}
	}
	if len(w.logins) == 0 && !w.unread && len(w.list) > 0 {
		w.pull.add("login", Bad, "no Secret of the list has a login for %s", w.image.Host)
	}
	return live
}

func kindOf(l login) string {
	if l.Kind != "" {
		return l.Kind
	}
	return "a password"
}

// foreign says whether the login that the kubelet shows is in a Secret that no credential keeps.
func (w *walk) foreign(holdings []diagnosis.Holding) bool {
	return len(w.logins) > 0 && !slices.ContainsFunc(holdings, func(h diagnosis.Holding) bool { return h.Secret == w.logins[0].secret })
}

// lamed says whether a Secret of the list is of no use, and no credential has to do with the registry.
func (w *walk) lamed(holdings []diagnosis.Holding) bool {
	return w.lame != nil && len(w.logins) == 0 && !slices.ContainsFunc(holdings, func(h diagnosis.Holding) bool { return h.Covering != nil || h.Missing != "" })
}

// byDiagnosis decides as the controller does.
func (w *walk) byDiagnosis(holdings []diagnosis.Holding) {
	e := diagnosis.Evidence{
		Image: w.image, Pod: diagnosis.Pod{Account: w.s.account, Secrets: w.list}, Linked: w.account.linked, Holdings: holdings, Now: w.now,
		WithLogin: w.words.WithLogin, Mirror: w.words.Mirror,
	}
	f := diagnosis.Diagnose(e)
	switch {
	case len(f.Try) > 0:
		w.evidence, w.tries = e, f.Try
		w.pull.end(Undecided, v1alpha1.CauseUndecided,
			"the pod has Secret %s, whose token for %s lives until %s: whether the registry lets it pull shows --probe", f.About.Secret, w.image.Host,
			f.About.Covering.ExpiresAt.UTC().Format(time.RFC3339))
	case w.words.WithLogin != "" && f.Cause == w.words.WithLogin:
		w.pull.end(Fails, f.Cause, "%s", cureOf(f.Cause, w.image))
	case f.Cause == v1alpha1.CauseNotCovered && w.nodes.May(w.image.Host):
		w.pull.end(Undecided, f.Cause, "%s; or the nodes pull from %s by an identity of their own", f.Note, w.image.Host)
	default:
		w.pull.end(Fails, f.Cause, "%s", f.Note)
	}
}

// withoutCredential decides where no credential has to do with it.
func (w *walk) withoutCredential(live bool) {
	host := w.image.Host
	switch {
	case len(w.logins) > 0 && !live:
		w.pull.end(Fails, CauseLoginExpired, "the login for %s in Secret %s has expired, and no credential keeps that Secret: renew it, or let Regcred keep it (kubectl regcred migrate)",
			w.logins[0].key, w.logins[0].secret)
	case live && w.words.WithLogin != "":
		w.pull.end(Fails, w.words.WithLogin, "%s", cureOf(w.words.WithLogin, w.image))
	case live:
		w.pull.end(Undecided, v1alpha1.CauseUndecided, "the registry does not take the login for %s in Secret %s, or does not let it pull %s: renew the login, or allow it the pull",
			w.logins[0].key, w.logins[0].secret, w.image)
	case w.unread:
		w.pull.end(Undecided, v1alpha1.CauseUndecided, "the Secrets of the list could not be read: ask somebody with the right to get Secrets in namespace %s", w.s.namespace)
	case w.account.presence == cluster.Absent:
		w.pull.end(Fails, CauseAccountMissing, "ServiceAccount %s does not exist in namespace %s: create it", w.s.account, w.s.namespace)
	case w.lame != nil:
		w.pull.Result, w.pull.Cause, w.pull.Note = w.lame.Result, w.lame.Cause, w.lame.Note
	case slices.Contains(w.s.running, w.pull.Image):
		w.pull.end(Works, "", "the container runs: the image is public, or the node has it or may pull it")
	case w.nodes.May(host):
		w.pull.end(Undecided, v1alpha1.CauseNotCovered, "no Secret of the pod covers registry %s: it works if the nodes pull from there by an identity of their own (--node-provider says so), else name a Secret or add a credential: kubectl regcred init", host)
	case len(w.s.waiting) > 0 || node.CloudOf(host) != "":
		w.pull.end(Fails, v1alpha1.CauseNotCovered, "no Secret of the pod covers registry %s, and no credential of the namespace does: add one (kubectl regcred init), or let the pod name a Secret that does", host)
	default:
		w.pull.end(Undecided, v1alpha1.CauseNotCovered, "no Secret of the pod covers registry %s: it works if the image is public", host)
	}
}

// holdings are what the credentials of the namespace have for the image: what their Secrets record or, where those may not be read, what
// the credentials report.
func (w *walk) holdings(ctx context.Context) ([]diagnosis.Holding, error) {
	serving, err := w.serving(ctx, w.s.namespace)
	if err != nil {
		return nil, err
	}
	var all []diagnosis.Holding
	for _, c := range serving {
		name := c.Spec.NameOfSecret(c.GetName())
		s, err := w.secret(ctx, w.s.namespace, name)
		if err != nil {
			return nil, err
		}
		h := diagnosis.Holding{Credential: c.Kind + " " + c.GetName(), Secret: name}
		if accounts := c.Spec.ServiceAccounts; accounts != nil {
			h.Recovers = accounts.RecoverPods == v1alpha1.RecoverPodsEvict
		}
		own, err := credential.Of(c.Object)
		if err != nil {
			return nil, err
		}
		if h.Wanted, err = own.Links(w.account.object); err != nil {
			return nil, err
		}
		w.cover(&h, c, s)
		w.pull.add("credential", stateOf(h, w.now), "%s keeps Secret %s: %s", c.Ref(), name, describe(h, w.image, w.now))
		all = append(all, h)
	}
	return all, nil
}

// cover finds the entry that covers the image, and what fails of it.
func (w *walk) cover(h *diagnosis.Holding, c *cluster.Credential, s *secret) {
	for i := range c.Spec.Registries {
		entry := &c.Spec.Registries[i]
		hosts, expiresAt, known := held(c, s, entry.Name, w.now)
		if !known {
			if h.Missing == "" {
				h.Missing, h.Failure = entry.Name, failure(c, entry.Name)
			}
			continue
		}
		for _, key := range hosts {
			if w.image.Under(key) && (h.Covering == nil || key > h.Covering.Key) {
				h.Covering, h.Failure = &diagnosis.Cover{Key: key, Entry: entry, ExpiresAt: expiresAt}, failure(c, entry.Name)
			}
		}
	}
}

// never is the expiry of what does not expire.
var never = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

func held(c *cluster.Credential, s *secret, entry string, now time.Time) (hosts []string, expiresAt time.Time, known bool) {
	if s.presence != cluster.Unreadable {
		r, ok := s.record(c, entry, now)
		return r.Hosts, r.ExpiresAt, ok
	}
	for _, r := range c.Status.Registries {
		if r.Name != entry || len(r.Hosts) == 0 {
			continue
		}
		if r.ExpiresAt == nil {
			return r.Hosts, never, true
		}
		return r.Hosts, r.ExpiresAt.Time, true
	}
	return nil, time.Time{}, false
}

// failure is what the credential reports of an entry.
func failure(c *cluster.Credential, entry string) string {
	for _, r := range c.Status.Registries {
		if r.Name == entry && r.Reason != "" && r.Reason != v1alpha1.ReasonOverridden {
			return r.Message
		}
	}
	return ""
}

func stateOf(h diagnosis.Holding, now time.Time) State {
	if h.Covering == nil || !h.Covering.ExpiresAt.After(now) {
		return Bad
	}
	return Good
}

func describe(h diagnosis.Holding, i diagnosis.Image, now time.Time) string {
	switch {
	case h.Covering == nil && h.Missing != "":
		return fmt.Sprintf("no token of entry %s", h.Missing)
	case h.Covering == nil:
		return "no entry covers " + i.Host
	case !h.Covering.ExpiresAt.Before(never):
		return fmt.Sprintf("entry %s covers %s and does not expire", h.Covering.Entry.Name, h.Covering.Key)
	case h.Covering.ExpiresAt.After(now):
		return fmt.Sprintf("the token of entry %s covers %s and expires %s", h.Covering.Entry.Name, h.Covering.Key, output.In(h.Covering.ExpiresAt, now))
	default:
		return fmt.Sprintf("the token of entry %s covers %s and has expired %s", h.Covering.Entry.Name, h.Covering.Key, output.In(h.Covering.ExpiresAt, now))
	}
}
