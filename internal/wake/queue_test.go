package wake

import (
	"testing"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
)

func TestWhatComesBeforeTheControllerWaitsForIt(t *testing.T) {
	q, into := &Queue[string]{}, priorityqueue.New[string]("")
	defer into.ShutDown()
	q.Add(priorityqueue.AddOpts{}, "early")
	if err := q.Attach(t.Context(), into); err != nil {
		t.Fatal(err)
	}
	q.Add(priorityqueue.AddOpts{}, "late")
	got := map[string]bool{}
	for range 2 {
		item, _ := into.Get()
		got[item] = true
		into.Done(item)
	}
	if !got["early"] || !got["late"] {
		t.Errorf("got %v", got)
	}
}

func TestNoWakeIsLostInAQueueOfAnotherKind(t *testing.T) {
	other := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]())
	defer other.ShutDown()
	if err := (&Queue[string]{}).Attach(t.Context(), other); err == nil {
		t.Error("the controller starts, and never wakes")
	}
}
