package target

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/internal/apiserver"
)

// webhooks let no change through in namespaces whose names begin with bad.
type webhooks struct {
	client.Client
	hanging atomic.Int32
}

func (h *webhooks) Create(ctx context.Context, o client.Object, _ ...client.CreateOption) error {
	if !strings.HasPrefix(o.GetNamespace(), "bad") {
		return nil
	}
	h.hanging.Add(1)
	defer h.hanging.Add(-1)
	<-ctx.Done()
	return ctx.Err()
}

func TestNamespacesWhoseWebhooksHangHoldHalfOfTheWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hooks := &webhooks{}
		w := newWary(hooks, clock.RealClock{})
		create := func(namespace string) error {
			ctx, cancel := context.WithTimeout(t.Context(), apiserver.WriteTimeout)
			defer cancel()
			return w.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace}})
		}
		for n := range 40 { // which nobody knows yet
			go func() { _ = create(fmt.Sprint("bad", n)) }()
		}
		synctest.Wait()
		if err := create("good"); err != nil {
			t.Error(err)
		}
		time.Sleep(apiserver.WriteTimeout + time.Second) //nolint:forbidigo // the clock is synctest's
		for n := range 40 {
			for range 16 {
				go func() { _ = create(fmt.Sprint("bad", n)) }()
			}
		}
		synctest.Wait()
		if n := hooks.hanging.Load(); n != hangingAtOnce {
			t.Errorf("%d changes hang at a time, want %d", n, hangingAtOnce)
		}
		if err := create("good"); err != nil {
			t.Errorf("the neighbour's change fails: %v", err)
		}
		if err := create("bad1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a change that is not tried: %v", err)
		}
		time.Sleep(hangsFor + apiserver.WriteTimeout) //nolint:forbidigo // as above
		for range 2 {
			go func() { _ = create("bad1") }()
		}
		synctest.Wait()
		if n := hooks.hanging.Load(); n != 2 {
			t.Errorf("%d changes are tried, want both: by now the webhook may answer", n)
		}
	})
}

func TestNoNamespaceIsBlamedForAnAPIServerThatAnswersNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hooks := &webhooks{}
		w := newWary(hooks, clock.RealClock{})
		for range 2 {
			for n := range 40 {
				go func() {
					ctx, cancel := context.WithTimeout(t.Context(), apiserver.WriteTimeout)
					defer cancel()
					_ = w.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: fmt.Sprint("bad", n)}})
				}()
			}
			synctest.Wait()
			if n := hooks.hanging.Load(); n != 40 {
				t.Errorf("%d changes are tried, want 40", n)
			}
			time.Sleep(apiserver.WriteTimeout + time.Second) //nolint:forbidigo // the clock is synctest's
		}
	})
}

func TestOneChangeIsTriedInANamespaceWhereChangesHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hooks := &webhooks{}
		w := newWary(hooks, clock.RealClock{})
		w.known.Put("bad", struct{}{})
		for range 16 {
			go func() { _ = w.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "bad"}}) }()
		}
		synctest.Wait()
		if n := hooks.hanging.Load(); n != 1 {
			t.Errorf("%d changes hang, want one", n)
		}
	})
}
