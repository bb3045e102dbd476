// Package migrate finds what keeps pull Secrets fresh today, says how Regcred takes that over, step by step, and takes the steps for a CronJob.
package migrate

import (
	"cmp"
	"context"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/dockerconfig"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/legacy"
)

// Found is something that renews pull Secrets.
type Found struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	// Tool is what it is, or what it runs.
	Tool string `json:"tool"`
	// Account is the ServiceAccount that it runs as.
	Account   string `json:"serviceAccount,omitempty"`
	Suspended bool   `json:"suspended,omitempty"`
}

// secret is a pull Secret that something else than Regcred keeps.
type secret struct {
	namespace, name string
	config          dockerconfig.Config
	// tool is who keeps it, as far as its metadata says.
	tool string
	uid  types.UID
	// adopt is its owner's consent as it is; nil if there is none.
	adopt *string
	// old says that it is of the type dockercfg, which no credential writes.
	old bool
}

// findings are what there is.
type findings struct {
	tools   []Found
	secrets []secret
	// linked are the ServiceAccounts that name a Secret, by namespace/name of it.
	linked map[string][]string
}

func find(ctx context.Context, k *cluster.Cluster, namespace string) (*findings, error) {
	f := &findings{linked: map[string][]string{}}
	_, err := cluster.Each(ctx, k, &batchv1.CronJobList{}, namespace, func(c *batchv1.CronJob) error {
		f.runs("CronJob", c, &c.Spec.JobTemplate.Spec.Template.Spec, ptr.Deref(c.Spec.Suspend, false))
		return nil
	})
	if err != nil {
		return nil, err
	}
	_, err = cluster.Each(ctx, k, &appsv1.DeploymentList{}, namespace, func(d *appsv1.Deployment) error {
		f.runs("Deployment", d, &d.Spec.Template.Spec, ptr.Deref(d.Spec.Replicas, 1) == 0)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, t := range []corev1.SecretType{corev1.SecretTypeDockerConfigJson, corev1.SecretTypeDockercfg} {
		_, err := cluster.Each(ctx, k, &corev1.SecretList{}, namespace, func(o *corev1.Secret) error {
			f.take(o)
			return nil
		}, client.MatchingFields{"type": string(t)})
		if err != nil {
			return nil, err
		}
	}
	_, err = cluster.Each(ctx, k, &corev1.ServiceAccountList{}, namespace, func(sa *corev1.ServiceAccount) error {
		for _, ref := range sa.ImagePullSecrets {
			key := sa.Namespace + "/" + ref.Name
			f.linked[key] = append(f.linked[key], sa.Name)
		}
		return nil
	})
	return f, err
}

// runs takes what makes pods in if they renew pull Secrets.
func (f *findings) runs(kind string, o client.Object, spec *corev1.PodSpec, suspended bool) {
	if tool := legacy.Tool(spec); tool != "" {
		f.tools = append(f.tools, Found{kind, o.GetNamespace(), o.GetName(), tool, cmp.Or(spec.ServiceAccountName, "default"), suspended})
	}
}

// take takes a Secret in if it is one to take over: it holds a cloud's token, or a tool keeps it, and no credential does.
func (f *findings) take(o *corev1.Secret) {
	config, err := dockerconfig.Parse(o)
	owner := metav1.GetControllerOf(o)
	if err != nil || kept(o) || owner != nil && strings.HasPrefix(owner.APIVersion, v1alpha1.GroupVersion.Group+"/") {
		return
	}
	tool := keeper(o, owner)
	clouds := slices.ContainsFunc(config.Keys(), func(key string) bool {
		kind := config[key].Kind
		return kind != "" && kind != dockerconfig.KindJWT
	})
	if tool == "" && !clouds {
		return
	}
	s := secret{namespace: o.Namespace, name: o.Name, config: config, tool: tool, uid: o.UID, old: o.Type == corev1.SecretTypeDockercfg}
	if adopt, ok := o.Annotations[v1alpha1.AnnotationAdopt]; ok {
		s.adopt = &adopt
	}
	f.secrets = append(f.secrets, s)
	if tool != "" && !slices.ContainsFunc(f.tools, func(t Found) bool { return t.Kind == "Secret" && t.Tool == tool }) {
		f.tools = append(f.tools, Found{Kind: "Secret", Namespace: o.Namespace, Name: o.Name, Tool: tool})
	}
}

// marks are the labels and annotations that tools leave on the Secrets that they keep.
var marks = []struct{ prefix, tool string }{
	{"reconcile.external-secrets.io/", "External Secrets"},
	{"reflector.v1.k8s.emberstack.com/", "Reflector"},
	{"replicator.v1.mittwald.de/", "Kubernetes Replicator"},
	{"acr.microsoft.com/", "msi-acrpull"},
}

// owners are the kinds of objects that own the Secrets of tools.
var owners = map[string]string{"ExternalSecret": "External Secrets", "AcrPullBinding": "msi-acrpull", "ClusterPullSecret": "registry-creds"}

func keeper(o *corev1.Secret, owner *metav1.OwnerReference) string {
	if owner != nil && owners[owner.Kind] != "" {
		return owners[owner.Kind]
	}
	for _, m := range marks {
		for _, keys := range []map[string]string{o.Labels, o.Annotations} {
			for key := range keys {
				if strings.HasPrefix(key, m.prefix) {
					return m.tool
				}
			}
		}
	}
	return ""
}
