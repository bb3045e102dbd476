package broker

import (
	"fmt"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/regcred/regcred/providers"
)

func TestATenantsTokensMakeNobodyElsesBeForgotten(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(time.Date(2026, time.November, 1, 12, 0, 0, 0, time.UTC))
	r := newRevocables(clock)
	put := func(tenant, name string) {
		r.put(revocable{name: name, id: name, req: providers.Request{Tenant: tenant}})
	}
	put("", "cluster")
	put("neighbour", "theirs")
	for n := range revocableHeld + 1 {
		put("mallory", fmt.Sprint(n))
	}
	for _, name := range []string{"cluster", "theirs", fmt.Sprint(revocableHeld)} {
		if _, known := r.get(name); !known {
			t.Errorf("%s can be revoked no more", name)
		}
	}
	if _, known := r.get("0"); known || len(r.tokens) != revocableHeldOfATenant+2 {
		t.Errorf("%d tokens are remembered, that put first among them: %t", len(r.tokens), known)
	}
	put("", "cluster") // once more, and so not forgotten for longer
	clock.SetTime(clock.Now().Add(revocableFor))
	put("", "later")
	if len(r.tokens) != 1 || len(r.tenants) != 1 {
		t.Errorf("%d tokens of %d tenants are left, want one", len(r.tokens), len(r.tenants))
	}
	r.forget("later")
	if len(r.tokens) != 0 || len(r.tenants) != 0 {
		t.Errorf("%d tokens of %d tenants are left", len(r.tokens), len(r.tenants))
	}
}
