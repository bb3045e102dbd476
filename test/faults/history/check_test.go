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

func writes(n int, every time.Duration) (all []controlplane.AuditRequest) {
	for i := range n {
		all = append(all, controlplane.AuditRequest{Verb: "update", Resource: "secrets", Namespace: "ns", Name: "regcred", Time: start.Add(time.Duration(i) * every)})
	}
	return all
}

func TestAHistoryIsCheckedForWhatMustHold(t *testing.T) {
	for name, c := range map[string]struct {
		history History
		want    string
	}{
		"a rotation":               {History{Secrets: []Version{version(0, "token-0"), version(6, "token-6")}}, ""},
		"a token that is dead":     {History{Secrets: []Version{version(13, "token-0")}}, "had expired"},
		"a token that dies later":  {History{Secrets: []Version{version(0, "token-0", owned), version(13, "token-0", owned)}}, ""},
		"an older token":           {History{Secrets: []Version{version(6, "token-6"), version(7, "token-0")}}, "had a token"},
		"a Secret of its own":      {History{Secrets: []Version{version(0, "token-0", owned)}}, ""},
		"a Secret that is adopted": {History{Secrets: []Version{version(0, "mine", adopted), version(0, "token-0", owned, adopted)}}, ""},
		"a Secret that is taken":   {History{Secrets: []Version{version(0, "mine"), version(0, "token-0", owned)}}, "taken over"},
		"a Secret that is left":    {History{Secrets: []Version{version(0, "mine"), version(1, "mine")}}, ""},
		"a Secret that is written": {History{Secrets: []Version{version(0, "mine"), version(0, "mine", written)}}, "was written"},
		"a Secret that is given":   {History{Secrets: []Version{version(0, "mine", adopted), version(0, "mine", adopted, written)}}, ""},
		"calls in turn":            {History{Calls: []cloud.Call{call(0, 1), call(1, 2)}}, ""},
		"calls at once":            {History{Calls: []cloud.Call{call(0, 3), call(1, 2)}}, "in flight"},
		"writes in an hour":        {History{Requests: writes(60, time.Minute)}, ""},
		"writes of what is new":    {History{Requests: writes(14, time.Second), Secrets: []Version{version(0, "token-0"), version(1, "token-1")}}, ""},
		"writes of what was there": {History{Requests: writes(14, time.Second), Secrets: []Version{version(0, "token-0"), version(1, "token-0")}}, "within a minute"},
		"writes in a minute":       {History{Requests: writes(60, time.Second)}, "within a minute"},
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
