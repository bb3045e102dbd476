package broker

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/regcred/regcred/providers"
)

const many = 10_000

func BenchmarkATokenThatCanBeRevokedAmongTenThousandTenants(b *testing.B) {
	all := New(b.Context(), Options{Clock: clock.RealClock{}})
	var last providers.Request
	for n := range many {
		last = providers.Request{Tenant: fmt.Sprint(n)}.Sealed()
		all.remember(last, "id")
	}
	for b.Loop() {
		all.remember(last, "id")
	}
}

// It is done once a minute.
func BenchmarkALookForWhatTenThousandSourcesNeedNoMore(b *testing.B) {
	all, now := New(b.Context(), Options{Clock: clock.RealClock{}}), time.Now()
	for n := range many {
		all.SetSources(providers.Owner{Name: fmt.Sprint(n)}, []string{fmt.Sprint("source-", n)})
	}
	for b.Loop() {
		all.sweptAt = time.Time{}
		all.sweep(now)
	}
}
