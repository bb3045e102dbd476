package history

import (
	"fmt"
	"testing"
	"time"

	"github.com/regcred/regcred/test/controlplane"
)

func TestAWatchThatLagsMakesNoRepetition(t *testing.T) {
	h := History{Token: token}
	for n := range 2 * often {
		at := start.Add(time.Duration(n) * time.Second)
		h.Requests = append(h.Requests, controlplane.AuditRequest{Verb: "update", Resource: "secrets", Namespace: "ns", Name: "regcred", Time: at})
		v := version(n, fmt.Sprintf("token-%d", n))
		v.Written = at.Add(5 * time.Second)
		h.Secrets = append(h.Secrets, v)
	}
	if broken := h.repeated(); len(broken) > 0 {
		t.Errorf("%q", broken)
	}
	for n := range h.Secrets {
		h.Secrets[n].Written = start.Add(time.Hour)
	}
	if len(h.repeated()) != 1 {
		t.Error("writes of nothing new are no repetition")
	}
}
