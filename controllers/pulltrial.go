package controllers

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
)

// try asks the registry what it makes of the token in the Secret, and has one that it refuses replaced.
func (r *PullReconciler) try(ctx context.Context, p FailedPull, e evidence, f finding) (finding, next) {
	h, entry := f.about, f.about.entry()
	if entry == nil {
		return e.undecided(f, errNoEntry), next{}
	}
	req, err := r.Targets.request(ctx, h.credential, *entry)
	if err != nil {
		return e.undecided(f, err), next{}
	}
	if req.RefusedAt != "" && req.RefusedAt != h.covering.RefusedAt {
		// It was refused before, and the Secret waits for the next.
		return e.judge(f, providers.Verdict{Result: providers.LoginRefused, Answer: "as before; " + h.why("a new one is being minted")}), next{}
	}
	login, err := r.login(ctx, e, h, req)
	if err != nil {
		return e.undecided(f, err), next{}
	}
	pull := providers.Pull{Host: e.image.host, Repository: e.image.repository, Reference: e.image.reference}
	verdict, err := r.Trials.Try(req, login, pull, func() { r.Wake(p) })
	if _, pending := errors.AsType[*providers.PendingError](err); pending {
		return f, next{woken: true}
	}
	if known, ok := errors.AsType[*providers.Error](err); ok && known.Reason == v1alpha1.ReasonThrottled && known.RetryAfter > 0 {
		return f, next{after: known.RetryAfter}
	}
	if err != nil {
		return e.undecided(f, err), next{}
	}
	if verdict.Result == providers.LoginRefused {
		r.replace(ctx, h, req)
	}
	return e.judge(f, verdict), next{}
}

var errNoEntry = providers.Errorf(v1alpha1.ReasonInvalidRequest, "its entry is gone from the spec")

// replace has the token of an entry minted anew for all of its targets.
func (r *PullReconciler) replace(ctx context.Context, h *holding, req providers.Request) {
	if !r.failing.refresh(h.credential.Key, r.Targets.Clock.Now()) || !r.Trials.Refuse(req, h.covering.ExpiresAt) {
		return
	}
	m := mapping{cache: r.Targets.Cache, namespace: r.Targets.Namespace}
	for _, t := range m.fromCredential(ctx, h.credential.object) {
		r.Targets.Wake(t, 0)
	}
}

// login is what the Secret holds for the image: from memory if that is what was written there, or else from the Secret. Where it may be
// shown is not asked of the Secret's annotations, which others may write, but of what was minted or of the Secret's content.
func (r *PullReconciler) login(ctx context.Context, e evidence, h *holding, req providers.Request) (providers.Login, error) {
	token, ok := r.Targets.Tokens.Held(req)
	if ok && h.covering.Source == req.Source() && token.ExpiresAt.Equal(h.covering.ExpiresAt) {
		for _, l := range token.Logins {
			if slices.ContainsFunc(l.Hosts, e.image.under) {
				return l, nil
			}
		}
	}
	secret, err := r.Targets.observedSecret(ctx, r.Targets.Live, Target{h.credential.Key, e.pod.namespace})
	if err != nil {
		return providers.Login{}, err
	}
	if !trusted(h.credential, observe(secret)) {
		return providers.Login{}, errChanged
	}
	content, err := r.Targets.readBack(ctx, secret)
	if err != nil {
		return providers.Login{}, err
	}
	return loginIn(content, h.key)
}

var errChanged = providers.Errorf(v1alpha1.ReasonInternal, "the Secret has changed just now")

func loginIn(content *dockerConfig, host string) (providers.Login, error) {
	auth, err := base64.StdEncoding.DecodeString(content.Auths[dockerKey(host)].Auth)
	username, password, ok := strings.Cut(string(auth), ":")
	if err != nil || !ok {
		return providers.Login{}, errChanged
	}
	return providers.Login{Username: username, Password: providers.Sensitive(password), Hosts: []string{host}}, nil
}
