package history

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/lab"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// tokens are known by their password: that many hours after the start they are issued, and live for twelve.
func token(password string) (cloud.Token, bool) {
	var hours int
	if _, err := fmt.Sscanf(password, "token-%d", &hours); err != nil {
		return cloud.Token{}, false
	}
	issued := start.Add(time.Duration(hours) * time.Hour)
	return cloud.Token{Principal: "p", IssuedAt: issued, ExpiresAt: issued.Add(12 * time.Hour)}, true
}

func version(hour int, password string, change ...func(*corev1.Secret)) Version {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "regcred", UID: "uid"}, Type: corev1.SecretTypeDockerConfigJson}
	auth := base64.StdEncoding.EncodeToString([]byte("AWS:" + password))
	s.Data = map[string][]byte{corev1.DockerConfigJsonKey: fmt.Appendf(nil, `{"auths":{"host.example":{"auth":%q}}}`, auth)}
	for _, c := range change {
		c(s)
	}
	return Version{Seen: start.Add(time.Duration(hour) * time.Hour), Written: start, Secret: s}
}

func owned(s *corev1.Secret) {
	s.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1alpha1.GroupVersion.String(), Kind: "RegistryCredential", Name: "regcred", Controller: new(true)}}
}

func adopted(s *corev1.Secret) { s.Annotations = map[string]string{v1alpha1.AnnotationAdopt: "true"} }

func written(s *corev1.Secret) {
	s.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: v1alpha1.FieldManager}}
}

func call(from, to int) cloud.Call {
	return cloud.Call{Outcome: cloud.Outcome{Action: "ecr:GetAuthorizationToken"}, Caller: "KEY in eu-west-1",
		Began: start.Add(time.Duration(from) * time.Second), Ended: start.Add(time.Duration(to) * time.Second)}
}

func writesEvery(n int, every time.Duration) (all []controlplane.AuditRequest) {
	for i := range n {
		all = append(all, controlplane.AuditRequest{Verb: "update", Resource: "secrets", Namespace: "ns", Name: "regcred", Time: start.Add(time.Duration(i) * every)})
	}
	return all
}

// asked is a request of a replica, so many seconds after the start.
func asked(second int, replica, verb, resource, holder string) controlplane.AuditRequest {
	return controlplane.AuditRequest{Time: start.Add(time.Duration(second) * time.Second), Credential: replica, Verb: verb, Resource: resource, Holder: holder,
		Namespace: "ns", Name: "regcred", Code: 200}
}

// refused is a pull with the first token after its end. Real time is as old as that of the clouds, or has stood still.
func refused(stood bool) cloud.Refusal {
	t, _ := token("token-0")
	at := start.Add(13 * time.Hour)
	r := cloud.Refusal{At: at, Real: at, Token: t}
	if stood {
		r.Real = start
	}
	return r
}

// failing is a call that was not answered, at that hour.
func failing(hour int, code string) cloud.Call {
	at := start.Add(time.Duration(hour) * time.Hour)
	return cloud.Call{Outcome: cloud.Outcome{Action: "ecr:GetAuthorizationToken", Code: code}, Caller: "KEY in eu-west-1", Began: at, Ended: at.Add(time.Minute)}
}

// kept is a Secret of ours that got its only token at the start.
func kept() []Version { return []Version{version(0, "token-0", owned)} }

func gone(hour int, password string) Version {
	v := version(hour, password, owned)
	v.Deleted = true
	return v
}

func second(s *corev1.Secret) { s.Name, s.UID = "second", "second" }

func revoked(r cloud.Refusal) cloud.Refusal {
	r.Revoked = true
	return r
}

func TestAHistoryIsCheckedForWhatMustHold(t *testing.T) {
	for name, c := range map[string]struct {
		history History
		want    string
	}{
		"a rotation":                         {History{Secrets: []Version{version(0, "token-0"), version(6, "token-6")}}, ""},
		"a token that is dead":               {History{Secrets: []Version{version(13, "token-0")}}, "had expired"},
		"a token that dies later":            {History{Secrets: []Version{version(0, "token-0", owned), version(13, "token-0", owned)}}, ""},
		"an older token":                     {History{Secrets: []Version{version(6, "token-6"), version(7, "token-0")}}, "had a token"},
		"a Secret of its own":                {History{Secrets: []Version{version(0, "token-0", owned)}}, ""},
		"a Secret that is adopted":           {History{Secrets: []Version{version(0, "mine", adopted), version(0, "token-0", owned, adopted)}}, ""},
		"a Secret that is taken":             {History{Secrets: []Version{version(0, "mine"), version(0, "token-0", owned)}}, "taken over"},
		"a Secret that is left":              {History{Secrets: []Version{version(0, "mine"), version(1, "mine")}}, ""},
		"a Secret that is written":           {History{Secrets: []Version{version(0, "mine"), version(0, "mine", written)}}, "was written"},
		"a Secret that is given":             {History{Secrets: []Version{version(0, "mine", adopted), version(0, "mine", adopted, written)}}, ""},
		"calls in turn":                      {History{Calls: []cloud.Call{call(0, 1), call(1, 2)}}, ""},
		"calls at once":                      {History{Calls: []cloud.Call{call(0, 3), call(1, 2)}}, "in flight"},
		"writes in an hour":                  {History{Requests: writesEvery(60, time.Minute)}, ""},
		"writes of what is new":              {History{Requests: writesEvery(14, time.Second), Secrets: []Version{version(0, "token-0"), version(1, "token-1")}}, ""},
		"writes of what was there":           {History{Requests: writesEvery(14, time.Second), Secrets: []Version{version(0, "token-0"), version(1, "token-0")}}, "within a minute"},
		"writes in a minute":                 {History{Requests: writesEvery(60, time.Second)}, "within a minute"},
		"a call after one that was given up": {History{Calls: []cloud.Call{failing(1, cloud.CodeHung), failing(1, "")}}, ""},

		"a leader": {History{Requests: []controlplane.AuditRequest{
			asked(1, "a", "create", "leases", "a"), asked(2, "a", "update", "secrets", ""), asked(3, "b", "get", "leases", ""),
			asked(4, "b", "create", "subjectaccessreviews", ""), asked(5, "b", "list", "secrets", ""), asked(6, "a", "patch", "serviceaccounts", ""),
		}}, ""},
		"one without a Lease": {History{Requests: []controlplane.AuditRequest{asked(1, "a", "update", "leases", "a"), asked(2, "b", "update", "secrets", "")}}, ""},
		"one that waits for it": {History{Requests: []controlplane.AuditRequest{
			asked(1, "a", "update", "leases", "a"), asked(2, "b", "get", "leases", ""), asked(3, "b", "update", "secrets", "")}}, "without the Lease"},
		"one that has lost it": {History{Requests: []controlplane.AuditRequest{
			asked(1, "a", "update", "leases", "a"), asked(20, "b", "update", "leases", "b"), asked(21, "a", "update", "secrets", "")}}, "without the Lease"},
		"one that has given it up": {History{Requests: []controlplane.AuditRequest{
			asked(1, "a", "update", "leases", "a"), asked(2, "a", "update", "leases", ""), asked(3, "a", "delete", "secrets", "")}}, "without the Lease"},
		"one that got it in vain": {History{Requests: []controlplane.AuditRequest{
			asked(1, "a", "update", "leases", "a"), {Time: start.Add(2 * time.Second), Credential: "b", Verb: "update", Resource: "leases", Holder: "b", Code: 409},
			asked(3, "a", "update", "secrets", "")}}, ""},
		"the order of the log": {History{Requests: []controlplane.AuditRequest{
			asked(20, "b", "update", "leases", "b"), asked(1, "a", "update", "leases", "a"), asked(2, "a", "update", "secrets", "")}}, ""},

		"a pull too late":            {History{Secrets: kept(), Refused: []cloud.Refusal{refused(false)}}, "no outage"},
		"a pull with what was there": {History{Secrets: append(kept(), version(11, "token-11", owned)), Refused: []cloud.Refusal{refused(false)}}, ""},
		"a token that came too late": {History{Secrets: append(kept(), version(14, "token-14", owned)), Refused: []cloud.Refusal{refused(false)}}, "no outage"},
		"a pull in an outage":        {History{Secrets: kept(), Refused: []cloud.Refusal{refused(false)}, Calls: []cloud.Call{failing(11, "ServerException")}}, ""},
		"a pull in a silence":        {History{Secrets: kept(), Refused: []cloud.Refusal{refused(false)}, Calls: []cloud.Call{failing(11, cloud.CodeHung)}}, ""},
		"a pull after an outage":     {History{Secrets: kept(), Refused: []cloud.Refusal{refused(false)}, Calls: []cloud.Call{failing(-1, "ServerException")}}, "no outage"},
		"a pull while nobody was there": {History{Secrets: kept(), Refused: []cloud.Refusal{refused(false)},
			Absent: []lab.Span{{From: start.Add(time.Hour), To: start.Add(2 * time.Hour)}}}, ""},
		"a pull after a jump":           {History{Secrets: kept(), Refused: []cloud.Refusal{refused(true)}}, ""},
		"a pull with another's":         {History{Secrets: []Version{version(0, "token-0")}, Refused: []cloud.Refusal{refused(false)}}, ""},
		"a pull after the end":          {History{Secrets: append(kept(), gone(1, "token-0")), Refused: []cloud.Refusal{refused(false)}}, ""},
		"a pull with one of two":        {History{Secrets: append(kept(), version(0, "token-0", owned, second), version(6, "token-6", owned)), Refused: []cloud.Refusal{refused(false)}}, "ns/second"},
		"a pull with what is withdrawn": {History{Secrets: kept(), Refused: []cloud.Refusal{revoked(refused(false))}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.history.Token = token
			got := strings.Join(c.history.Check(), "; ")
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestASlowNodeIsToBlameForATokenThatWasReplacedInTime(t *testing.T) {
	refusedLater := []cloud.Refusal{refused(false)}
	replaced := append(kept(), version(11, "token-11", owned))
	for name, c := range map[string]struct {
		history History
		since   int // hours
		want    int
	}{
		"replaced in time":       {History{Secrets: replaced, Refused: refusedLater}, 0, 1},
		"before":                 {History{Secrets: replaced, Refused: refusedLater}, 14, 0},
		"still there":            {History{Secrets: kept(), Refused: refusedLater}, 0, 0},
		"replaced too late":      {History{Secrets: append(kept(), version(14, "token-14", owned)), Refused: refusedLater}, 0, 0},
		"replaced in one of two": {History{Secrets: append(replaced, version(0, "token-0", owned, second)), Refused: refusedLater}, 0, 0},
		"another's":              {History{Secrets: []Version{version(0, "token-0")}, Refused: refusedLater}, 0, 0},
		"withdrawn":              {History{Secrets: replaced, Refused: []cloud.Refusal{revoked(refused(false))}}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c.history.Token = token
			if got := c.history.overtaken(start.Add(time.Duration(c.since) * time.Hour)); got != c.want {
				t.Errorf("%d pulls were overtaken, want %d", got, c.want)
			}
		})
	}
}
