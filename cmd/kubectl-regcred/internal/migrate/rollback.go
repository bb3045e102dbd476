package migrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// rollback gives the Secrets back to the CronJob. Nothing is deleted before it has written a token of its own into each of them.
func (c *command) rollback(ctx context.Context, k *cluster.Cluster, args []string) error {
	m := c.migration(ctx, k)
	if err := m.load(ctx, c.env.Scope(), args); err != nil {
		return err
	}
	changed, err := m.changed(ctx)
	if err != nil {
		return err
	}
	if len(changed) > 0 {
		return errors.Join(m.end(Untouched, changed...), cli.Exit(cli.Findings))
	}
	if err := m.ask(fmt.Sprintf("Have %s go on, run it once, and delete %s?", m.record.CronJob, output.Count(len(m.record.Credentials), "credential"))); err != nil {
		return errors.Join(m.end(Untouched, err.Error()), cli.Exit(cli.Findings))
	}
	if err := m.handBack(ctx); err != nil {
		again := m.keepOn(context.WithoutCancel(ctx))
		return errors.Join(m.end(Undone, err.Error()), again, cli.Exit(cli.Findings))
	}
	if err := errors.Join(m.release(ctx), m.erase(ctx)); err != nil {
		return err
	}
	return m.end(RolledBack)
}

// changed names what is not as the migration has left it.
func (m *migration) changed(ctx context.Context) (changed []string, err error) {
	defer m.env.Progress(ctx, "reading what the migration has changed")()
	look := func(of Object, o client.Object, why func() string) error {
		there, err := m.k.Read(ctx, of.Namespace, of.Name, o)
		switch {
		case err != nil:
			return err
		case there == cluster.Unreadable:
			return cli.Unread(m.k.Gaps()[0])
		case there == cluster.Absent:
			changed = append(changed, of.String()+" is gone")
		case o.GetUID() != of.UID:
			changed = append(changed, of.String()+" was deleted and made anew")
		default:
			if text := why(); text != "" {
				changed = append(changed, of.String()+" "+text)
			}
		}
		return nil
	}
	job := &batchv1.CronJob{}
	errs := []error{look(m.record.CronJob, job, func() string {
		if job.Spec.Suspend == nil || !*job.Spec.Suspend {
			return "is not suspended any more"
		}
		if digestOf(job) != m.record.CronJob.Digest {
			return "runs other Jobs than before: see that it renews the Secrets, have it go on, and delete the credentials yourself"
		}
		return ""
	})}
	for _, c := range m.record.Credentials {
		o, err := cluster.Scheme().New(v1alpha1.GroupVersion.WithKind(c.Kind))
		if err != nil {
			return nil, err
		}
		credential := o.(client.Object)
		errs = append(errs, look(c, credential, func() string {
			if digestOf(credential) != c.Digest {
				return "has another spec than before, and may keep more than the CronJob did: have the CronJob go on, and delete the credential yourself"
			}
			return ""
		}))
	}
	for _, s := range m.record.Secrets {
		o := &corev1.Secret{}
		errs = append(errs, look(s.Object, o, func() string {
			if !kept(o) {
				return "is not kept by a credential any more"
			}
			return ""
		}))
	}
	return changed, errors.Join(errs...)
}

// handBack has the CronJob write its own tokens. The credentials are suspended meanwhile, so that the two do not fight.
func (m *migration) handBack(ctx context.Context) error {
	before := map[types.UID]*corev1.Secret{}
	for _, s := range m.record.Secrets {
		o, err := m.read(ctx, s)
		if err != nil {
			return err
		}
		before[s.UID] = o
	}
	if err := m.suspendCredentials(ctx, true); err != nil {
		return err
	}
	if err := m.settled(ctx, m.record.Credentials, func(o *cluster.Credential, _ *metav1.Condition) (bool, error) { return o.Spec.Suspend, nil }); err != nil {
		return err
	}
	if err := m.suspend(ctx, false); err != nil {
		return err
	}
	if err := m.runOnce(ctx); err != nil {
		return err
	}
	for _, s := range m.record.Secrets {
		o, err := m.read(ctx, s)
		if err != nil {
			return err
		}
		if key := corev1.DockerConfigJsonKey; o.UID == s.UID && bytes.Equal(o.Data[key], before[s.UID].Data[key]) {
			return fmt.Errorf("the CronJob has run, and has written nothing into %s", s)
		}
	}
	return nil
}

// keepOn has the credentials keep the Secrets, as before a rollback that has failed. A Job that it has started would write into them yet.
func (m *migration) keepOn(ctx context.Context) error {
	errs := []error{m.suspend(ctx, true)}
	if m.started != nil {
		errs = append(errs, client.IgnoreNotFound(m.k.Delete(ctx, m.started, client.PropagationPolicy(metav1.DeletePropagationBackground))))
	}
	return errors.Join(append(errs, m.suspendCredentials(ctx, false))...)
}

func (m *migration) suspendCredentials(ctx context.Context, suspend bool) error {
	for _, c := range m.record.Credentials {
		o, err := cluster.Scheme().New(v1alpha1.GroupVersion.WithKind(c.Kind))
		if err != nil {
			return err
		}
		if err := m.patch(ctx, c, o.(client.Object), map[string]any{"spec": map[string]any{"suspend": suspend}}); err != nil {
			return err
		}
	}
	return nil
}

// runOnce runs the CronJob now, and waits for its end.
func (m *migration) runOnce(ctx context.Context) error {
	cron := &batchv1.CronJob{}
	if err := m.k.Get(ctx, client.ObjectKey{Namespace: m.record.CronJob.Namespace, Name: m.record.CronJob.Name}, cron); err != nil {
		return err
	}
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: cron.Namespace, GenerateName: cron.Name[:min(len(cron.Name), 40)] + "-rollback-",
			Labels: cron.Spec.JobTemplate.Labels, Annotations: map[string]string{"cronjob.kubernetes.io/instantiate": "manual"},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(cron, batchv1.SchemeGroupVersion.WithKind("CronJob"))},
		},
		Spec: cron.Spec.JobTemplate.Spec,
	}
	if err := m.k.Create(ctx, job); err != nil {
		return fmt.Errorf("running %s once: %w", m.record.CronJob, err)
	}
	m.started = job
	m.say("waiting for Job " + job.Namespace + "/" + job.Name)
	return m.until(ctx, "Job "+job.Namespace+"/"+job.Name+" ends", func(ctx context.Context) (bool, error) {
		if err := m.k.Get(ctx, client.ObjectKeyFromObject(job), job); err != nil {
			return false, err
		}
		for _, c := range job.Status.Conditions {
			switch {
			case c.Status != corev1.ConditionTrue:
			case c.Type == batchv1.JobComplete:
				return true, nil
			case c.Type == batchv1.JobFailed:
				return false, fmt.Errorf("the CronJob was run as Job %s/%s, which has failed: %s", job.Namespace, job.Name, c.Message)
			}
		}
		return false, nil
	})
}
