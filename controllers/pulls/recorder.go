package pulls

import (
	"context"
	"fmt"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/reference"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
)

// recordTimeout bounds the creation of an event.
const recordTimeout = 5 * time.Second

// podRecorder makes events of pods. client-go's recorder remembers every event for six minutes, which thousands of pods at once would
// make many; what was told is remembered here already. And it makes them later, when the leader that has evicted may be gone.
type podRecorder struct {
	client client.Client
	clock  clock.PassiveClock
}

// Eventf implements events.EventRecorder.
func (r podRecorder) Eventf(regarding, related runtime.Object, kind, reason, action, note string, args ...any) {
	// The interface has no context: a shutdown waits for this, and the event of what was done is not lost.
	ctx, cancel := context.WithTimeout(context.Background(), recordTimeout)
	defer cancel()
	ref, err := reference.GetReference(r.client.Scheme(), regarding)
	if err != nil {
		log.Log.Error(err, "An event has no object", "reason", reason)
		return
	}
	now := r.clock.Now()
	e := &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: ref.Namespace, Name: fmt.Sprintf("%s.%x", ref.Name, now.UnixNano())},
		EventTime:  metav1.NewMicroTime(now), ReportingController: v1alpha1.FieldManager, ReportingInstance: v1alpha1.FieldManager,
		Regarding: *ref, Type: kind, Reason: reason, Action: action, Note: credential.Truncate(fmt.Sprintf(note, args...)),
	}
	if related != nil {
		if e.Related, err = reference.GetReference(r.client.Scheme(), related); err != nil {
			e.Related = nil
		}
	}
	if err := r.client.Create(ctx, e); err != nil {
		log.Log.V(1).Info("An event of a pod was not created", "reason", reason, "message", err.Error())
	}
}
