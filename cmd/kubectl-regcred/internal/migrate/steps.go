package migrate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/dockerconfig"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// forward takes the Secrets over. What it changes is in the record before it is changed.
func (m *migration) forward(ctx context.Context, p *Plan) error {
	if err := m.ask("1/3 Suspend " + m.record.CronJob.String() + "?"); err != nil {
		return err
	}
	if err := m.save(ctx); err != nil {
		return err
	}
	if err := m.suspend(ctx, true); err != nil {
		return err
	}
	if err := m.idle(ctx); err != nil {
		return err
	}
	before, err := m.hosts(ctx)
	if err != nil {
		return err
	}
	// First the consent: a Secret that is in conflict is looked at again after two minutes only.
	if err := m.ask("2/3 Hand over " + output.Count(len(m.record.Secrets), "Secret") + "?"); err != nil {
		return err
	}
	for _, s := range m.record.Secrets {
		if err := m.annotate(ctx, s, new("true")); err != nil {
			return err
		}
	}
	if err := m.ask("3/3 Create " + output.Count(len(p.Credentials), "credential") + "?"); err != nil {
		return err
	}
	for _, o := range p.Credentials {
		if err := m.k.Create(ctx, o); err != nil {
			return fmt.Errorf("creating %s: %w", cluster.CredentialOf(o).Ref().Long(), err)
		}
		m.record.Credentials = append(m.record.Credentials, objectOf(o))
		if err := m.save(ctx); err != nil {
			return err
		}
	}
	if err := m.settled(ctx, m.record.Credentials, func(_ *cluster.Credential, ready *metav1.Condition) (bool, error) {
		return ready.Status == metav1.ConditionTrue && ready.Reason != v1alpha1.ReasonPartial, nil
	}); err != nil {
		return err
	}
	return m.compare(ctx, before)
}

// suspend suspends the CronJob, or has it go on.
func (m *migration) suspend(ctx context.Context, suspend bool) error {
	return m.patch(ctx, m.record.CronJob, &batchv1.CronJob{}, map[string]any{"spec": map[string]any{"suspend": suspend}})
}

// annotate sets the owner's consent on a Secret, or takes it back.
func (m *migration) annotate(ctx context.Context, s Adopted, value *string) error {
	return m.patch(ctx, s.Object, &corev1.Secret{}, map[string]any{"metadata": map[string]any{"annotations": map[string]any{v1alpha1.AnnotationAdopt: value}}})
}

// patch changes the object, unless another has its name by now.
func (m *migration) patch(ctx context.Context, of Object, o client.Object, change map[string]any) error {
	metadata, _ := change["metadata"].(map[string]any)
	if metadata == nil {
		metadata = map[string]any{}
		change["metadata"] = metadata
	}
	metadata["uid"] = of.UID
	raw, err := json.Marshal(change)
	if err != nil {
		return err
	}
	o.SetNamespace(of.Namespace)
	o.SetName(of.Name)
	if err := m.k.Patch(ctx, o, client.RawPatch(types.MergePatchType, raw)); err != nil {
		return fmt.Errorf("changing %s: %w", of, err)
	}
	return nil
}

// remove deletes credentials, unless others have their names by now.
func (m *migration) remove(ctx context.Context, credentials []Object) error {
	var errs []error
	for _, c := range credentials {
		o, err := cluster.Scheme().New(v1alpha1.GroupVersion.WithKind(c.Kind))
		if err != nil {
			return err
		}
		credential := o.(client.Object)
		credential.SetNamespace(c.Namespace)
		credential.SetName(c.Name)
		errs = append(errs, client.IgnoreNotFound(m.k.Delete(ctx, credential, client.Preconditions{UID: &c.UID})))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("deleting the credentials: %w", err)
	}
	return nil
}

// read reads a Secret of the record.
func (m *migration) read(ctx context.Context, s Adopted) (*corev1.Secret, error) {
	o := &corev1.Secret{}
	if err := m.k.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: s.Name}, o); err != nil {
		return nil, fmt.Errorf("reading %s: %w", s, err)
	}
	return o, nil
}

// hosts are those that each Secret has a login for.
func (m *migration) hosts(ctx context.Context) (map[types.UID][]string, error) {
	all := map[types.UID][]string{}
	for _, s := range m.record.Secrets {
		o, err := m.read(ctx, s)
		if err != nil {
			return nil, err
		}
		config, err := dockerconfig.Parse(o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
		for _, key := range config.Keys() {
			all[s.UID] = append(all[s.UID], hostOf(key))
		}
	}
	return all, nil
}

// compare says whether the Secrets are what they were, and hold a login for every host that they had one for.
func (m *migration) compare(ctx context.Context, before map[types.UID][]string) error {
	after, err := m.hosts(ctx)
	if err != nil {
		return err
	}
	for _, s := range m.record.Secrets {
		o, err := m.read(ctx, s)
		switch {
		case err != nil:
			return err
		case o.UID != s.UID:
			return fmt.Errorf("%s was deleted and made anew meanwhile", s)
		case !kept(o):
			return fmt.Errorf("%s is not kept by a credential, although they are ready", s)
		}
		for _, host := range before[s.UID] {
			if !slices.Contains(after[s.UID], host) {
				return fmt.Errorf("%s has no login for %s any more", s, host)
			}
		}
	}
	return nil
}

// back undoes what was done, in the opposite order. It goes on past what fails, and keeps the record then.
func (m *migration) back(ctx context.Context) error {
	err := errors.Join(m.release(ctx), m.ignoreGone(m.suspend(ctx, false)))
	if err != nil {
		return fmt.Errorf("%w; the record of what was changed is ConfigMap regcred-migration.%s.%s in namespace %s", err, m.record.CronJob.Namespace, m.record.CronJob.Name, m.home)
	}
	return m.erase(ctx)
}

// release deletes the credentials, which gives the Secrets back, and takes the consent away.
func (m *migration) release(ctx context.Context) error {
	if err := m.remove(ctx, m.record.Credentials); err != nil {
		return err
	}
	var errs []error
	for _, s := range m.record.Secrets {
		// The consent stays until the Secret is given back: without it, it would be the controller's to delete.
		err := m.until(ctx, s.String()+" is given back", func(ctx context.Context) (bool, error) {
			o := &corev1.Secret{}
			there, err := m.k.Read(ctx, s.Namespace, s.Name, o)
			return there == cluster.Absent || !kept(o), err
		})
		if err == nil {
			err = m.ignoreGone(m.annotate(ctx, s, s.Adopt))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// ignoreGone ignores that an object is gone, or that another has its name: it needs no undoing.
func (m *migration) ignoreGone(err error) error {
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}
