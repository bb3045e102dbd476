// Package migrate finds what keeps pull Secrets fresh today, says how Regcred takes that over, step by step, and takes the steps for a CronJob.
package migrate

import (
	"cmp"
	"context"
	"io"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/dockerconfig"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/legacy"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/manifest"
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
	// Owner is the ClusterExternalSecret that makes it.
	Owner string `json:"owner,omitempty"`

	// secret is what an ExternalSecret writes, as namespace/name.
	secret string
}

// runs says that it is what makes pods.
func (t Found) runs() bool { return t.Kind == "CronJob" || t.Kind == "Deployment" }

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
	// generators are those of External Secrets that its tokens come from, hosts those that its template is for.
	generators []*generator
	hosts      []string
}

// findings are what there is.
type findings struct {
	tools   []Found
	secrets []secret
	// linked are the ServiceAccounts that name a Secret, by namespace/name of it.
	linked map[string][]string
	// kept are the Secrets, by namespace/name, that credentials keep already.
	kept       map[string]bool
	generators []*generator
	uses       []use
	// notes are what somebody has to think about, notRead what could not be read.
	notes, notRead []string
	// incomplete says that a file should have been read and was not.
	incomplete bool
}

func newFindings() *findings {
	return &findings{linked: map[string][]string{}, kept: map[string]bool{}}
}

// lists are what is read of a cluster.
var lists = []struct {
	list    client.ObjectList
	options []client.ListOption
}{
	{&batchv1.CronJobList{}, nil},
	{&appsv1.DeploymentList{}, nil},
	{&corev1.SecretList{}, []client.ListOption{client.MatchingFields{"type": string(corev1.SecretTypeDockerConfigJson)}}},
	{&corev1.SecretList{}, []client.ListOption{client.MatchingFields{"type": string(corev1.SecretTypeDockercfg)}}},
	{&corev1.ServiceAccountList{}, nil},
}

// find looks in a cluster.
func find(ctx context.Context, k *cluster.Cluster, namespace string) (*findings, error) {
	f := newFindings()
	for _, l := range lists {
		if _, err := cluster.Each(ctx, k, l.list, namespace, func(o client.Object) error {
			f.add(o)
			return nil
		}, l.options...); err != nil {
			return nil, err
		}
	}
	if err := f.findForeign(ctx, k, namespace); err != nil {
		return nil, err
	}
	f.settle()
	return f, nil
}

// findIn looks in files.
func findIn(path string, stdin io.Reader) (*findings, error) {
	f := newFindings()
	gaps, err := manifest.Read(path, stdin, f.add)
	if err != nil {
		return nil, err
	}
	f.notRead = append(f.notRead, slices.Concat(gaps.NotRead, gaps.Skipped)...)
	f.incomplete = len(f.notRead) > len(gaps.Skipped)
	f.settle()
	return f, nil
}

// add takes an object in. Most kinds do not matter.
func (f *findings) add(o client.Object) {
	switch o := o.(type) {
	case *batchv1.CronJob:
		f.runs("CronJob", o, &o.Spec.JobTemplate.Spec.Template.Spec, ptr.Deref(o.Spec.Suspend, false))
	case *appsv1.Deployment:
		f.runs("Deployment", o, &o.Spec.Template.Spec, ptr.Deref(o.Spec.Replicas, 1) == 0)
	case *corev1.Secret:
		if dockerconfig.IsPullSecret(o) {
			f.take(o)
		}
	case *corev1.ServiceAccount:
		for _, ref := range o.ImagePullSecrets {
			key := o.Namespace + "/" + ref.Name
			f.linked[key] = append(f.linked[key], o.Name)
		}
	case *unstructured.Unstructured:
		f.addForeign(o)
	}
}

// settle brings together what belongs together, once all has been taken in.
func (f *findings) settle() {
	f.connect()
	for _, s := range f.secrets {
		if s.tool != "" && len(s.generators) == 0 && !slices.ContainsFunc(f.tools, func(t Found) bool { return t.Kind == "Secret" && t.Tool == s.tool }) {
			f.tools = append(f.tools, Found{Kind: "Secret", Namespace: s.namespace, Name: s.name, Tool: s.tool})
		}
	}
}

// runs takes what makes pods in if they renew pull Secrets.
func (f *findings) runs(kind string, o client.Object, spec *corev1.PodSpec, suspended bool) {
	if tool := legacy.Tool(spec); tool != "" {
		f.tools = append(f.tools, Found{Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName(), Tool: tool, Account: cmp.Or(spec.ServiceAccountName, "default"), Suspended: suspended})
	}
}

// take takes a Secret in if it is one to take over: it holds a cloud's token, or a tool keeps it, and no credential does.
func (f *findings) take(o *corev1.Secret) {
	config, err := dockerconfig.Parse(o)
	owner := metav1.GetControllerOf(o)
	if kept(o) {
		f.kept[o.Namespace+"/"+o.Name] = true
	}
	if err != nil || kept(o) || owner != nil && strings.HasPrefix(owner.APIVersion, v1alpha1.GroupVersion.Group+"/") {
		return
	}
	tool, _ := legacy.ToolOf(o)
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
}
