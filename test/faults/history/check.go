package history

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/lab"
)

// History is what happened.
type History struct {
	Secrets []Version
	// Requests are those of the controller.
	Requests []controlplane.AuditRequest
	Calls    []cloud.Call
	// Token knows the passwords that a cloud has issued.
	Token func(password string) (cloud.Token, bool)
	// Refused are pulls with tokens that lived no longer.
	Refused []cloud.Refusal
	// Absent is when no controller was at work.
	Absent []lab.Span
}

// often is how many times one object may be written within a minute, beside what is published in it for the first time: the budget of a
// fight, and what a restart repeats.
const often = 12

// Check says what must hold and does not, a sentence for each.
func (h History) Check() []string {
	return slices.Concat(h.deadTokens(), h.olderTokens(), h.takenOver(), h.touched(), h.doubleCalls(), h.repeated(), h.leaseless(), h.unblamed())
}

// login is a published token.
type login struct {
	host, password string
	token          cloud.Token
}

// logins are those of a Secret that a cloud has issued.
func (h History) logins(s *corev1.Secret) (all []login) {
	var config struct {
		Auths map[string]struct{ Auth []byte }
	}
	if s.Type != corev1.SecretTypeDockerConfigJson || json.Unmarshal(s.Data[corev1.DockerConfigJsonKey], &config) != nil {
		return nil
	}
	for host, entry := range config.Auths {
		_, password, _ := bytes.Cut(entry.Auth, []byte(":"))
		if token, ok := h.Token(string(password)); ok {
			all = append(all, login{host, string(password), token})
		}
	}
	return all
}

// deadTokens: what is published was issued, and lives when it is written.
func (h History) deadTokens() (broken []string) {
	last := map[types.UID][]byte{}
	for _, v := range h.Secrets {
		data := v.Secret.Data[corev1.DockerConfigJsonKey]
		if v.Deleted || bytes.Equal(last[v.Secret.UID], data) {
			continue
		}
		last[v.Secret.UID] = data
		for _, l := range h.logins(v.Secret) {
			if !v.Seen.Before(l.token.ExpiresAt) {
				broken = append(broken, fmt.Sprintf("%s got a token for %s that had expired at %s", name(v.Secret), l.host, l.token.ExpiresAt))
			}
		}
	}
	return broken
}

// olderTokens: a published token is never replaced by one of an older mint of the same identity.
func (h History) olderTokens() (broken []string) {
	type place struct {
		uid  types.UID
		host string
	}
	last := map[place]cloud.Token{}
	for _, v := range h.Secrets {
		for _, l := range h.logins(v.Secret) {
			at := place{v.Secret.UID, l.host}
			if before := last[at]; before.Principal == l.token.Principal && l.token.IssuedAt.Before(before.IssuedAt) {
				broken = append(broken, fmt.Sprintf("%s had a token for %s of %s, and got one of %s", name(v.Secret), l.host, before.IssuedAt, l.token.IssuedAt))
			}
			last[at] = l.token
		}
	}
	return broken
}

// takenOver: a Secret that was somebody else's becomes a target only by its owner's consent.
func (h History) takenOver() (broken []string) {
	last := map[types.UID]*corev1.Secret{}
	for _, v := range h.Secrets {
		before := last[v.Secret.UID]
		if before != nil && ours(v.Secret) && !ours(before) && before.Annotations[v1alpha1.AnnotationAdopt] != "true" &&
			v.Secret.Annotations[v1alpha1.AnnotationAdopt] != "true" && before.Labels[v1alpha1.LabelSecret] != v1alpha1.LabelSecretTarget {
			broken = append(broken, name(v.Secret)+" was somebody else's, and was taken over")
		}
		last[v.Secret.UID] = v.Secret
	}
	return broken
}

// touched: what is somebody else's and was not handed over is not written at all.
func (h History) touched() (broken []string) {
	last := map[types.UID]*corev1.Secret{}
	for _, v := range h.Secrets {
		before := last[v.Secret.UID]
		if before != nil && !ours(before) && !writtenByUs(before) && writtenByUs(v.Secret) && before.Annotations[v1alpha1.AnnotationAdopt] != "true" {
			broken = append(broken, name(v.Secret)+" is somebody else's, and was written")
		}
		last[v.Secret.UID] = v.Secret
	}
	return broken
}

func writtenByUs(s *corev1.Secret) bool {
	return slices.ContainsFunc(s.ManagedFields, func(e metav1.ManagedFieldsEntry) bool { return e.Manager == v1alpha1.FieldManager })
}

func ours(s *corev1.Secret) bool {
	owner := metav1.GetControllerOf(s)
	return owner != nil && owner.APIVersion == v1alpha1.GroupVersion.String()
}

// doubleCalls: at most one call is in flight for an identity in a region.
func (h History) doubleCalls() (broken []string) {
	ended := map[string]cloud.Call{}
	calls := slices.Clone(h.Calls)
	slices.SortFunc(calls, func(a, b cloud.Call) int { return a.Began.Compare(b.Began) })
	for _, c := range calls {
		key := c.Action + " of " + c.Caller
		if slices.Contains([]string{cloud.CodeHung, cloud.CodeClosed, cloud.CodeAbandoned}, c.Code) {
			continue // its client may have given up long before that was seen
		}
		if c.Caller != "" && c.Began.Before(ended[key].Ended) {
			broken = append(broken, fmt.Sprintf("%s was called at %s while a call from %s to %s was in flight", key, c.Began, ended[key].Began, ended[key].Ended))
		}
		if c.Ended.After(ended[key].Ended) {
			ended[key] = c
		}
	}
	return broken
}

// repeated: no object is written again and again.
func (h History) repeated() (broken []string) {
	news := h.news()
	written := map[string][]time.Time{}
	told := map[string]bool{}
	for _, r := range h.Requests {
		if !writes(r) || r.Code == http.StatusConflict || r.Subresource != "" || r.Resource != "secrets" && r.Resource != "serviceaccounts" {
			continue
		}
		object := r.Resource + " " + r.Namespace + "/" + r.Name
		recent := within(append(written[object], r.Time), r.Time.Add(-time.Minute), r.Time)
		written[object] = recent
		const late = 10 * time.Second // of the watch that has seen it: a busy machine lags
		if len(recent) > often+len(within(news[object], recent[0], r.Time.Add(late))) && !told[object] {
			told[object] = true
			broken = append(broken, fmt.Sprintf("%s was written %d times within a minute", object, len(recent)))
		}
	}
	return broken
}

func within(times []time.Time, from, to time.Time) []time.Time {
	return slices.DeleteFunc(slices.Clone(times), func(t time.Time) bool { return t.Before(from) || t.After(to) })
}

// news is when Secrets held logins, or said something of them, that they had not before.
func (h History) news() map[string][]time.Time {
	at := map[string][]time.Time{}
	known := map[string]bool{}
	for _, v := range h.Secrets {
		object := "secrets " + v.Secret.Namespace + "/" + v.Secret.Name
		content := fmt.Sprint(object, string(v.Secret.Data[corev1.DockerConfigJsonKey]), v.Secret.Annotations)
		if !v.Deleted && !known[content] {
			known[content] = true
			at[object] = append(at[object], v.Written)
		}
	}
	return at
}

func name(s *corev1.Secret) string { return "Secret " + s.Namespace + "/" + s.Name }
