package why

import (
	"context"
	"fmt"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/check"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/diagnosis"
)

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
		h.Wanted = own.Links(w.account.object)
		w.cover(&h, c, s)
		w.keepers[name] = c.Ref()
		w.pull.Chain.Add("credential", stateOf(h, w.now), "%s keeps Secret %s: %s", c.Ref(), name, describe(h, w.image, w.now))
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
		if h.Cover(w.image, entry, hosts, expiresAt) {
			h.Failure = failure(c, entry.Name)
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

func stateOf(h diagnosis.Holding, now time.Time) check.State {
	if h.Covering == nil || !h.Covering.ExpiresAt.After(now) {
		return check.Bad
	}
	return check.Good
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
