package migrate

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
)

// Record is what a migration has changed, so that it can be undone. It holds no content of Secrets.
type Record struct {
	CronJob     Object    `json:"cronJob"`
	Credentials []Object  `json:"credentials"`
	Secrets     []Adopted `json:"secrets"`
}

// Object is one object, and not another of the same name.
type Object struct {
	Kind      string    `json:"kind"`
	Namespace string    `json:"namespace,omitempty"`
	Name      string    `json:"name"`
	UID       types.UID `json:"uid"`
	// Digest is of what it was to do; empty for Secrets.
	Digest string `json:"digest,omitempty"`
}

func objectOf(o client.Object) Object {
	return Object{cluster.CredentialOf(o).Kind, o.GetNamespace(), o.GetName(), o.GetUID(), digestOf(o)}
}

// digestOf is the digest of the spec of a credential, or of the Jobs of a CronJob. Whether they are suspended does not count: a migration
// changes that itself.
func digestOf(o client.Object) string {
	var does any
	switch o := o.DeepCopyObject().(type) {
	case *batchv1.CronJob:
		does = o.Spec.JobTemplate
	case *v1alpha1.RegistryCredential:
		o.Spec.Suspend = false
		does = o.Spec
	case *v1alpha1.ClusterRegistryCredential:
		o.Spec.Suspend = false
		does = o.Spec
	}
	raw, err := json.Marshal(does)
	if err != nil {
		panic(err) // specs always encode
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256(raw))
}

func (o Object) String() string {
	if o.Namespace == "" {
		return o.Kind + " " + o.Name
	}
	return o.Kind + " " + o.Namespace + "/" + o.Name
}

func (o Object) ref() cluster.Ref {
	return cluster.Ref{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}
}

// Adopted is a Secret that was handed over.
type Adopted struct {
	Object
	// Adopt is the annotation regcred.dev/adopt as it was; nil if it had none.
	Adopt *string `json:"adopt,omitempty"`
}

const (
	// recordKey is where the record is in its ConfigMap.
	recordKey = "record.json"
	// recordLabel marks the ConfigMaps of migrations.
	recordLabel, recordLabelValue = "app.kubernetes.io/managed-by", "kubectl-regcred-migrate"
)

// configMap is that of the record. A namespace has no dot in its name, so that no two records share it.
func (r *Record) configMap(home string) (*corev1.ConfigMap, error) {
	raw, err := json.MarshalIndent(r, "", "  ")
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: home, Name: "regcred-migration." + r.CronJob.Namespace + "." + r.CronJob.Name,
			Labels: map[string]string{recordLabel: recordLabelValue},
		},
		Data: map[string]string{recordKey: string(raw)},
	}, err
}

// save writes the record, before anything that it tells of is done.
func (m *migration) save(ctx context.Context) error {
	wanted, err := m.record.configMap(m.home)
	if err != nil {
		return err
	}
	old := &corev1.ConfigMap{}
	there, err := m.k.Read(ctx, wanted.Namespace, wanted.Name, old)
	switch {
	case err != nil:
		return err
	case there == cluster.Present:
		err = m.k.Update(ctx, wanted)
	default:
		err = m.k.Create(ctx, wanted)
	}
	if err != nil {
		return fmt.Errorf("writing the record of the migration, ConfigMap %s/%s: %w", wanted.Namespace, wanted.Name, err)
	}
	return nil
}

// erase deletes the record.
func (m *migration) erase(ctx context.Context) error {
	wanted, err := m.record.configMap(m.home)
	if err != nil {
		return err
	}
	return client.IgnoreNotFound(m.k.Delete(ctx, wanted))
}

// load reads the record of a CronJob or, without a name, the only one there is.
func (m *migration) load(ctx context.Context, namespace string, args []string) error {
	var all []Record
	_, err := cluster.Each(ctx, m.k, &corev1.ConfigMapList{}, m.home, func(c *corev1.ConfigMap) error {
		var r Record
		if json.Unmarshal([]byte(c.Data[recordKey]), &r) != nil {
			return fmt.Errorf("ConfigMap %s/%s holds no record of a migration", c.Namespace, c.Name)
		}
		if (len(args) == 0 || r.CronJob.Name == args[0]) && (namespace == "" || r.CronJob.Namespace == namespace) {
			all = append(all, r)
		}
		return nil
	}, client.MatchingLabels{recordLabel: recordLabelValue})
	if err != nil {
		return err
	}
	switch len(all) {
	case 1:
		m.record = all[0]
		return nil
	case 0:
		if m.k.Missed("configmaps") {
			return cli.Unread(strings.Join(m.k.Gaps(), "; "))
		}
		return fmt.Errorf("namespace %s has no record of such a migration: only what --apply has done can be undone", m.home)
	}
	var names []string
	for _, r := range all {
		names = append(names, r.CronJob.Namespace+"/"+r.CronJob.Name)
	}
	return fmt.Errorf("there are several migrations: name one, with -n (%s)", strings.Join(names, ", "))
}
