package why

import (
	"context"
	"slices"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/check"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/dockerconfig"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/node"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
	"github.com/regcred/regcred/controllers/diagnosis"
)

// decide finds the cause: what the kubelet has said of the network and the registry, what its Secrets hold, and then what the credentials
// of the namespace have, as the controller decides it.
func (w *walk) decide(ctx context.Context) error {
	var text string
	var said bool
	w.words, text, said = w.s.words(w.pull.Image, w.events[event{w.s.uid, w.pull.Image}].text)
	defer func() {
		if w.words.Mirror != "" {
			w.pull.Chain.Add("mirror", check.Note, "%s answered the kubelet for %s: the container runtime of the node has it as a mirror", w.words.Mirror, w.image.Host)
		}
		if said {
			w.pull.Chain.Add("kubelet", check.Bad, "%s", text)
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
		w.pull.end(Works, "", "the kubelet shows the login for %s in Secret %s, which has not expired as far as it says: --probe asks the registry", w.logins[0].Key, w.logins[0].Secret)
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
			w.pull.Chain.Add("login", check.Good, "%s in %s (%s) does not say when it expires", l.Key, l.Secret, kindOf(l))
			live = true
		case l.ExpiresAt.After(w.now):
			w.pull.Chain.Add("login", check.Good, "%s in %s (%s) expires %s", l.Key, l.Secret, kindOf(l), output.In(l.ExpiresAt, w.now))
			live = true
		default:
			w.pull.Chain.Add("login", check.Bad, "%s in %s (%s) has expired %s", l.Key, l.Secret, kindOf(l), output.In(l.ExpiresAt, w.now))
		}
	}
	if len(w.logins) == 0 && !w.unread && len(w.list) > 0 {
		w.pull.Chain.Add("login", check.Bad, "no Secret of the list has a login for %s", w.image.Host)
	}
	return live
}

func kindOf(l dockerconfig.Placed) string {
	if l.Kind != "" {
		return l.Kind
	}
	return "a password"
}

// foreign says whether the login that the kubelet shows is in a Secret that no credential keeps.
func (w *walk) foreign(holdings []diagnosis.Holding) bool {
	return len(w.logins) > 0 && !slices.ContainsFunc(holdings, func(h diagnosis.Holding) bool { return h.Secret == w.logins[0].Secret })
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
	w.about(f.About)
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

// about notes which entry of which credential should have brought the login.
func (w *walk) about(h *diagnosis.Holding) {
	if h == nil {
		return
	}
	w.pull.Credential, w.pull.Entry = w.keepers[h.Secret].Long(), h.Missing
	if h.Covering != nil {
		w.pull.Entry = h.Covering.Entry.Name
	}
}

// withoutCredential decides where no credential has to do with it.
func (w *walk) withoutCredential(live bool) {
	host := w.image.Host
	switch {
	case len(w.logins) > 0 && !live:
		w.pull.end(Fails, CauseLoginExpired, "the login for %s in Secret %s has expired, and no credential keeps that Secret: renew it, or let Regcred keep it (kubectl regcred migrate)",
			w.logins[0].Key, w.logins[0].Secret)
	case live && w.words.WithLogin != "":
		w.pull.end(Fails, w.words.WithLogin, "%s", cureOf(w.words.WithLogin, w.image))
	case live:
		w.pull.end(Undecided, v1alpha1.CauseUndecided, "the registry does not take the login for %s in Secret %s, or does not let it pull %s: renew the login, or allow it the pull",
			w.logins[0].Key, w.logins[0].Secret, w.image)
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
