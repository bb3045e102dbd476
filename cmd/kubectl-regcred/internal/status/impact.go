package status

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/node"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/diagnosis"
)

// impact finds the workloads whose next pod would not start, by credential: those that get a Secret which holds no live login for an image that
// the credential is for. It reads records, and no content: of a Secret that is not the credential's, or is one of several, nothing is certain.
type impact struct {
	targets targets
	now     time.Time
	// serving are the credentials that keep a Secret in a namespace.
	serving  map[string][]served
	accounts map[types.NamespacedName]*corev1.ServiceAccount
	// found are the workloads, and whether it is certain.
	found map[credential.Key]map[string]bool
}

// served is a credential, and what the controller reports of its entries.
type served struct {
	*credential.Credential
	reported []v1alpha1.RegistryStatus
	secret   string
}

// makers are the kinds that make pods, each with what it makes them from; nil for what makes none any more.
var makers = []struct {
	kind     string
	list     client.ObjectList
	template func(client.Object) *corev1.PodSpec
}{
	{"Deployment", &appsv1.DeploymentList{}, func(o client.Object) *corev1.PodSpec { return &o.(*appsv1.Deployment).Spec.Template.Spec }},
	{"StatefulSet", &appsv1.StatefulSetList{}, func(o client.Object) *corev1.PodSpec { return &o.(*appsv1.StatefulSet).Spec.Template.Spec }},
	{"DaemonSet", &appsv1.DaemonSetList{}, func(o client.Object) *corev1.PodSpec { return &o.(*appsv1.DaemonSet).Spec.Template.Spec }},
	{"CronJob", &batchv1.CronJobList{}, func(o client.Object) *corev1.PodSpec {
		return &o.(*batchv1.CronJob).Spec.JobTemplate.Spec.Template.Spec
	}},
	{"Job", &batchv1.JobList{}, func(o client.Object) *corev1.PodSpec {
		if cluster.Ended(o.(*batchv1.Job)) {
			return nil
		}
		return &o.(*batchv1.Job).Spec.Template.Spec
	}},
}

// workloads are those whose next pod would not start, by credential.
func (t targets) workloads(ctx context.Context, k *cluster.Cluster, credentials []*cluster.Credential, namespace string, now time.Time) (map[credential.Key]map[string]bool, error) {
	i := &impact{targets: t, now: now, serving: map[string][]served{}, accounts: map[types.NamespacedName]*corev1.ServiceAccount{}, found: map[credential.Key]map[string]bool{}}
	if err := i.serve(ctx, k, credentials, namespace); err != nil {
		return nil, err
	}
	_, err := cluster.Each(ctx, k, &corev1.ServiceAccountList{}, namespace, func(a *corev1.ServiceAccount) error {
		a.ManagedFields = nil
		i.accounts[client.ObjectKeyFromObject(a)] = a
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, m := range makers {
		if _, err := cluster.Each(ctx, k, m.list, namespace, func(o client.Object) error {
			if spec := m.template(o); spec != nil {
				i.judge(m.kind, o.GetNamespace(), o.GetName(), spec)
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	_, err = cluster.Each(ctx, k, &corev1.PodList{}, namespace, func(p *corev1.Pod) error {
		if p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			kind, name := cluster.Maker(p)
			i.judge(kind, p.Namespace, name, &p.Spec)
		}
		return nil
	})
	return i.found, err
}

// suffer notes the workloads whose next pod would not start, each with whether that is certain.
func (c *Credential) suffer(workloads map[string]bool) {
	for _, name := range slices.Sorted(maps.Keys(workloads)) {
		if workloads[name] {
			c.Impact = append(c.Impact, name)
		} else {
			c.PossibleImpact = append(c.PossibleImpact, name)
		}
	}
}

// serve finds out where the credentials keep a Secret. Those of the cluster need the labels of namespaces for that.
func (i *impact) serve(ctx context.Context, k *cluster.Cluster, credentials []*cluster.Credential, namespace string) error {
	var all []served
	for _, c := range credentials {
		own, err := credential.Of(c.Object)
		if err != nil || c.GetDeletionTimestamp() != nil {
			continue // the controller does not serve it either
		}
		one := served{own, c.Status.Registries, c.Spec.NameOfSecret(c.GetName())}
		if c.Kind == v1alpha1.KindRegistryCredential {
			i.serving[c.GetNamespace()] = append(i.serving[c.GetNamespace()], one)
		} else {
			all = append(all, one)
		}
	}
	if len(all) == 0 {
		return nil
	}
	serve := func(n *metav1.PartialObjectMetadata) error {
		for _, c := range all {
			if n.DeletionTimestamp == nil && c.Selects(n) {
				i.serving[n.Name] = append(i.serving[n.Name], c)
			}
		}
		return nil
	}
	if namespace != "" {
		one := &metav1.PartialObjectMetadata{}
		one.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
		there, err := k.Read(ctx, "", namespace, one)
		if there == cluster.Present {
			err = serve(one)
		}
		return err
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	_, err := cluster.Each(ctx, k, list, "", serve)
	return err
}

// judge notes a workload if one of its images has no live login in one of its Secrets that should hold it.
func (i *impact) judge(kind, namespace, name string, spec *corev1.PodSpec) {
	var images []diagnosis.Image
	for _, reference := range cluster.Images(spec) {
		if image, ok := diagnosis.ParseImage(reference); ok {
			images = append(images, image)
		}
	}
	secrets := i.secrets(namespace, spec)
	workload := strings.ToLower(kind) + "/" + name + " -n " + namespace
	for _, secret := range secrets {
		target, known := i.targets[types.NamespacedName{Namespace: namespace, Name: secret}]
		if known && slices.ContainsFunc(images, func(image diagnosis.Image) bool { return slices.ContainsFunc(target.expired(i.now), image.Under) }) {
			i.note(target.keeper, workload, len(secrets) == 1)
		}
		for _, c := range i.serving[namespace] {
			if c.secret == secret && slices.ContainsFunc(images, func(image diagnosis.Image) bool { return c.lacks(target, image) }) {
				i.note(c.Key, workload, len(secrets) == 1 && target.keeper == c.Key)
			}
		}
	}
}

func (i *impact) note(of credential.Key, workload string, certain bool) {
	if i.found[of] == nil {
		i.found[of] = map[string]bool{}
	}
	i.found[of][workload] = i.found[of][workload] || certain
}

// secrets are the pull Secrets that a pod gets: its own or, if it names none, those of its ServiceAccount and those that are to be linked to it.
func (i *impact) secrets(namespace string, spec *corev1.PodSpec) []string {
	var names []string
	add := func(refs []corev1.LocalObjectReference) {
		for _, ref := range refs {
			names = append(names, ref.Name)
		}
	}
	add(spec.ImagePullSecrets)
	name := spec.ServiceAccountName
	if name == "" {
		name = "default"
	}
	account := i.accounts[types.NamespacedName{Namespace: namespace, Name: name}]
	if len(names) > 0 || account == nil {
		return names
	}
	add(account.ImagePullSecrets)
	for _, c := range i.serving[namespace] {
		if c.Links(account) && !slices.Contains(names, c.secret) {
			names = append(names, c.secret)
		}
	}
	return names
}

// lacks says whether an entry is for the image of which the target has no record: nothing has been written for it, or the target is not the
// credential's.
func (c *served) lacks(t target, image diagnosis.Image) bool {
	for i := range c.Spec.Registries {
		entry := &c.Spec.Registries[i]
		if _, written := t.records[entry.Name]; (t.keeper != c.Key || !written) && c.covers(entry, image) {
			return true
		}
	}
	return false
}

// covers says whether an entry is for an image: by the hosts that are reported or, if none are, by those of its spec.
func (c *served) covers(entry *v1alpha1.Registry, image diagnosis.Image) bool {
	for i := range c.reported {
		if r := &c.reported[i]; r.Name == entry.Name && len(r.Hosts) > 0 {
			return slices.ContainsFunc(r.Hosts, image.Under)
		}
	}
	var hosts []string
	add := func(more ...v1alpha1.Host) {
		for _, host := range more {
			hosts = append(hosts, string(host))
		}
	}
	switch {
	case entry.ECR != nil:
		return node.CloudOf(image.Host) == node.ECR && strings.Contains(image.Host, "."+entry.ECR.Region) &&
			(len(entry.ECR.Accounts) == 0 || slices.Contains(entry.ECR.Accounts, image.Host[:12]))
	case entry.ECRPublic != nil:
		hosts = []string{"public.ecr.aws"}
	case entry.ArtifactRegistry != nil:
		hosts = entry.ArtifactRegistry.Hosts
	case entry.ACR != nil:
		add(entry.ACR.Registry)
	case entry.Artifactory != nil && len(entry.Artifactory.Hosts) > 0:
		add(entry.Artifactory.Hosts...)
	case entry.Artifactory != nil:
		hosts = []string{strings.TrimPrefix(entry.Artifactory.URL, "https://")}
	case entry.Static != nil:
		add(entry.Static.Host)
		add(entry.Static.Hosts...)
	}
	return slices.ContainsFunc(hosts, func(host string) bool { return host != "" && image.Under(host) })
}
