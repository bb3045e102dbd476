package why

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/check"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/dockerconfig"
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
	logins []dockerconfig.Placed
	// evidence and tries are of logins of credentials that only a trial can judge.
	evidence diagnosis.Evidence
	tries    []*diagnosis.Holding
	// keepers are the credentials of the namespace, by their Secrets.
	keepers map[string]cluster.Ref
	// words are what the kubelet has said.
	words diagnosis.FailedPull
	// unread is whether a Secret of the list could not be read.
	unread bool
	// fatal is what keeps the kubelet from reading the list at all, and lame what only fails to help.
	fatal, lame *Pull
}

// judge says whether the image is pulled, and if not why.
func (f *facts) judge(ctx context.Context, s *subject, image string, now time.Time) (Pull, error) {
	w := &walk{facts: f, s: s, now: now, keepers: map[string]cluster.Ref{}, pull: Pull{Namespace: s.namespace, Who: []string{s.name}, Image: image}}
	var ok bool
	if w.image, ok = diagnosis.ParseImage(image); !ok {
		w.pull.Chain.Add("image", check.Bad, "%s cannot be parsed", image)
		w.pull.end(Fails, v1alpha1.CauseOther, "the image reference cannot be parsed: correct it")
		return w.pull, nil
	}
	w.pull.Chain.Add("image", check.Good, "%s is at registry %s", image, w.image.Host)
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
		w.pull.Chain.Add("pod", check.Unknown, "the pod has no imagePullSecrets")
	case len(own) > 0:
		w.pull.Chain.Add("pod", check.Good, "the pod has imagePullSecrets %s", strings.Join(own, ", "))
	default:
		w.pull.Chain.Add("pod", check.Good, "the template names no imagePullSecrets, so that its pods get those of the ServiceAccount")
	}
	linked := w.account.linked
	switch w.account.presence {
	case cluster.Unreadable:
		w.pull.Chain.Add("account", check.Unknown, "ServiceAccount %s could not be read", w.s.account)
	case cluster.Absent:
		w.pull.Chain.Add("account", check.Bad, "ServiceAccount %s does not exist", w.s.account)
	case cluster.Present:
		w.pull.Chain.Add("account", check.Good, "ServiceAccount %s has imagePullSecrets %s", w.s.account, orNone(linked))
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
	var ring dockerconfig.Ring
	for _, name := range w.list {
		if name == "" {
			continue
		}
		s, err := w.secret(ctx, w.s.namespace, name)
		if err != nil {
			return err
		}
		var problem Pull
		switch {
		case s.presence == cluster.Unreadable:
			w.unread = true
			w.pull.Chain.Add("Secret", check.Unknown, "%s could not be read", name)
			continue
		case s.presence == cluster.Absent:
			problem.end(Fails, CauseSecretMissing, "Secret %s does not exist in namespace %s, and no other of the pod's covers registry %s: create it, or take it off the list",
				name, w.s.namespace, w.image.Host)
			w.pull.Chain.Add("Secret", check.Bad, "%s does not exist", name)
		case errors.Is(s.err, dockerconfig.ErrMalformed):
			problem.end(Fails, CauseSecretMalformed, "Secret %s cannot be parsed, and the kubelet then reads none of the pod's Secrets: write it anew", name)
			w.pull.Chain.Add("Secret", check.Bad, "%s: %s", name, s.err)
			w.fatal = &problem
			continue
		case errors.Is(s.err, dockerconfig.ErrEmpty):
			problem.end(Fails, CauseSecretEmpty, "Secret %s holds no login (nothing is under auths), and no other of the pod's covers registry %s: write the login into it", name, w.image.Host)
			w.pull.Chain.Add("Secret", check.Bad, "%s: %s", name, s.err)
		case s.err != nil:
			problem.end(Fails, CauseSecretType, "Secret %s is of no use to the kubelet (%s): replace it by one of type kubernetes.io/dockerconfigjson", name, s.err)
			w.pull.Chain.Add("Secret", check.Bad, "%s: %s", name, s.err)
		default:
			ring.Add(name, s.config)
			w.pull.Chain.Add("Secret", check.Good, "%s has logins for %s", name, short(s.config.Keys()))
			continue
		}
		w.lame = &problem
	}
	w.logins = ring.For(w.image)
	return nil
}
