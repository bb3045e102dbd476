package migrate

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
)

// every is how often what cannot be watched is looked at.
const every = time.Second

// until looks at something until it is done, or the time is over.
func (m *migration) until(ctx context.Context, what string, done func(context.Context) (bool, error)) error {
	limited, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	for {
		ok, err := done(limited)
		if ok || err != nil {
			return err
		}
		select {
		case <-limited.Done():
			return fmt.Errorf("%s: not within %s", what, m.timeout)
		case <-m.env.Clock.After(every):
		}
	}
}

// idle waits for the Jobs of the CronJob that run: those of its schedule, and those that somebody has started by hand.
func (m *migration) idle(ctx context.Context) error {
	return m.until(ctx, "the running Jobs of "+m.record.CronJob.String()+" end", func(ctx context.Context) (bool, error) {
		o := &batchv1.CronJob{}
		if err := m.k.Get(ctx, client.ObjectKey{Namespace: m.record.CronJob.Namespace, Name: m.record.CronJob.Name}, o); err != nil {
			return false, err
		}
		running := len(o.Status.Active)
		_, err := cluster.Each(ctx, m.k, &batchv1.JobList{}, m.record.CronJob.Namespace, func(j *batchv1.Job) error {
			if metav1.IsControlledBy(j, o) && !cluster.Ended(j) {
				running++
			}
			return nil
		})
		return running == 0, err
	})
}

// settled waits until the controller says of every credential what is wanted.
func (m *migration) settled(ctx context.Context, credentials []Object, wanted func(*cluster.Credential, *metav1.Condition) (bool, error)) error {
	last := "the controller has not reported"
	err := m.until(ctx, "the credentials are ready", func(ctx context.Context) (bool, error) {
		for _, c := range credentials {
			o, err := m.k.Find(ctx, c.ref())
			if err != nil {
				return false, err
			}
			ready := meta.FindStatusCondition(o.Status.Conditions, v1alpha1.ConditionReady)
			if ready == nil || o.Status.ObservedGeneration < o.GetGeneration() {
				return false, nil
			}
			last = c.String() + " says " + ready.Reason + ": " + ready.Message
			if done, err := wanted(o, ready); !done || err != nil {
				return false, err
			}
		}
		return true, nil
	})
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w; %s", err, last)
	}
	return err
}
