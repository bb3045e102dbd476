package controllers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/internal/expiring"
)

const (
	// eventsAtOnce and eventEvery are for a namespace, and for warnings apart from the rest: sixteen entries of eight credentials may be told of
	// at once. The recorder keeps each event for some minutes, 2 KiB of it.
	eventsAtOnce, eventEvery = 128, 10 * time.Second
	// maxBudgets is how many namespaces are told from each other, and one that is forgotten has all its events again by then.
	maxBudgets, budgetFor = 1 << 16, eventsAtOnce * eventEvery
)

// rationed records no more events than a namespace's share: what a tenant can make happen every second would fill our memory, and etcd. Whatever is
// left out stands in the log, and is counted.
type rationed struct {
	events.EventRecorder
	clock   clock.PassiveClock
	budgets *expiring.Map[string, *rate.Limiter]
	dropped *prometheus.CounterVec
}

func ration(recorder events.EventRecorder, c clock.PassiveClock, dropped *prometheus.CounterVec) *rationed {
	return &rationed{recorder, c, expiring.New[string, *rate.Limiter](c, budgetFor, maxBudgets), dropped}
}

// NewDroppedEvents registers the counter of events that found no room in a namespace's share.
func NewDroppedEvents(r prometheus.Registerer) *prometheus.CounterVec {
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "regcred_events_dropped_total",
		Help: "Events that were not recorded, as their namespace had used up its share, by type: `Normal` or `Warning`. What they say stands in the log.",
	}, []string{"type"})
	r.MustRegister(dropped)
	for _, kind := range []string{corev1.EventTypeNormal, corev1.EventTypeWarning} {
		dropped.WithLabelValues(kind)
	}
	return dropped
}

// Eventf implements events.EventRecorder.
func (r *rationed) Eventf(regarding, related runtime.Object, kind, reason, action, note string, args ...any) {
	budget := r.budgets.Update(kind+"/"+causer(regarding, related), func(known *rate.Limiter, ok bool) *rate.Limiter {
		if ok {
			return known
		}
		return rate.NewLimiter(rate.Every(eventEvery), eventsAtOnce)
	})
	if !budget.AllowN(r.clock.Now(), 1) {
		r.dropped.WithLabelValues(kind).Inc()
		return
	}
	r.EventRecorder.Eventf(regarding, related, kind, reason, action, note, args...)
}

// causer is whose share an event is of: the namespace's of the credential or, of what is told of a credential of the cluster, that of the one
// namespace that it is about.
func causer(regarding, related runtime.Object) string {
	about, err := meta.Accessor(regarding)
	if err != nil {
		return ""
	}
	if about.GetNamespace() != "" {
		return about.GetNamespace()
	}
	where := ""
	if in, err := meta.Accessor(related); err == nil {
		where = in.GetNamespace()
	}
	return "/" + about.GetName() + "/" + where
}
