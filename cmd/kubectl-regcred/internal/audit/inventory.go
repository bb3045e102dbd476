package audit

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/dockerconfig"
)

// inventory is what is looked over, as little of it as is needed.
type inventory struct {
	secrets map[types.NamespacedName]*pullSecret
	// others are the names of Secrets of other types.
	others    map[types.NamespacedName]bool
	accounts  map[types.NamespacedName][]string
	workloads []workload
	// pods are those that run or wait, as one workload for each maker and list.
	pods map[replicas]*workload
	// jobs are the CronJobs of Jobs.
	jobs     map[types.NamespacedName]string
	cronJobs []*batchv1.CronJob
	// promised are the Secrets that credentials make: where there is no cluster, they are none that is missing.
	promised map[types.NamespacedName]bool
	// whole is whether a Secret that is not in it does not exist.
	whole bool
}

// pullSecret is a pull Secret without its passwords.
type pullSecret struct {
	metav1.ObjectMeta
	config dockerconfig.Config
	err    error
}

// workload is a pod, or what makes pods.
type workload struct {
	kind, namespace, name string
	account               string
	secrets, images       []string
	// pod is whether it is one: then its list is what it is.
	pod bool
}

// maker is who would make the next pod.
type maker struct{ kind, namespace, name string }

// replicas are the pods of a maker that have one list. Where the maker is not read, those of before and after a change differ.
type replicas struct {
	maker
	account, list string
}

func newInventory() *inventory {
	return &inventory{
		secrets: map[types.NamespacedName]*pullSecret{}, others: map[types.NamespacedName]bool{}, accounts: map[types.NamespacedName][]string{},
		promised: map[types.NamespacedName]bool{}, pods: map[replicas]*workload{}, jobs: map[types.NamespacedName]string{},
	}
}

// add takes an object in. Most kinds do not matter.
func (i *inventory) add(o client.Object) {
	switch o := o.(type) {
	case *corev1.Secret:
		i.addSecret(o)
	case *corev1.ServiceAccount:
		var linked []string
		for _, ref := range o.ImagePullSecrets {
			linked = append(linked, ref.Name)
		}
		i.accounts[client.ObjectKeyFromObject(o)] = linked
	case *corev1.Pod:
		if metav1.GetControllerOf(o) == nil || o.Status.Phase == corev1.PodRunning || o.Status.Phase == corev1.PodPending {
			i.addPod(o)
		}
	case *appsv1.Deployment:
		i.work("Deployment", o, &o.Spec.Template.Spec)
	case *appsv1.StatefulSet:
		i.work("StatefulSet", o, &o.Spec.Template.Spec)
	case *appsv1.DaemonSet:
		i.work("DaemonSet", o, &o.Spec.Template.Spec)
	case *batchv1.Job:
		if owner := metav1.GetControllerOf(o); owner != nil && owner.Kind == "CronJob" {
			i.jobs[client.ObjectKeyFromObject(o)] = owner.Name // it is as the CronJob has it
		} else if !cluster.Ended(o) {
			i.work("Job", o, &o.Spec.Template.Spec)
		}
	case *batchv1.CronJob:
		i.work("CronJob", o, &o.Spec.JobTemplate.Spec.Template.Spec)
		i.cronJobs = append(i.cronJobs, o)
	case *v1alpha1.RegistryCredential:
		i.promised[types.NamespacedName{Namespace: o.Namespace, Name: o.Spec.NameOfSecret(o.Name)}] = true
	case *v1alpha1.ClusterRegistryCredential:
		i.promised[types.NamespacedName{Name: o.Spec.NameOfSecret(o.Name)}] = true
	}
}

func (i *inventory) addSecret(o *corev1.Secret) {
	key := client.ObjectKeyFromObject(o)
	if !dockerconfig.IsPullSecret(o) {
		i.others[key] = true
		return
	}
	s := &pullSecret{ObjectMeta: o.ObjectMeta}
	s.config, s.err = dockerconfig.Parse(o)
	i.secrets[key] = s
}

func (i *inventory) work(kind string, o client.Object, spec *corev1.PodSpec) {
	w := workload{kind: kind, namespace: o.GetNamespace(), name: o.GetName(), account: spec.ServiceAccountName, images: cluster.Images(spec)}
	if w.account == "" {
		w.account = "default"
	}
	for _, ref := range spec.ImagePullSecrets {
		w.secrets = append(w.secrets, ref.Name)
	}
	i.workloads = append(i.workloads, w)
}

// promises says whether a credential makes the Secret.
func (i *inventory) promises(key types.NamespacedName) bool {
	return i.promised[key] || i.promised[types.NamespacedName{Name: key.Name}]
}

// lists are what is read of a cluster. Of Secrets that hold no pull credentials only the names are.
var lists = []struct {
	list    client.ObjectList
	options []client.ListOption
}{
	{&corev1.SecretList{}, []client.ListOption{ofType(corev1.SecretTypeDockerConfigJson)}},
	{&corev1.SecretList{}, []client.ListOption{ofType(corev1.SecretTypeDockercfg)}},
	{&corev1.ServiceAccountList{}, nil},
	{&corev1.PodList{}, nil},
	{&appsv1.DeploymentList{}, nil},
	{&appsv1.StatefulSetList{}, nil},
	{&appsv1.DaemonSetList{}, nil},
	{&batchv1.JobList{}, nil},
	{&batchv1.CronJobList{}, nil},
}

func ofType(t corev1.SecretType) client.ListOption { return client.MatchingFields{"type": string(t)} }

// read reads the inventory of a cluster, or of one namespace.
func read(ctx context.Context, k *cluster.Cluster, namespace string) (*inventory, error) {
	i := newInventory()
	for _, l := range lists {
		_, err := cluster.Each(ctx, k, l.list, namespace, func(o client.Object) error {
			i.add(o)
			return nil
		}, l.options...)
		if err != nil {
			return nil, err
		}
	}
	names := &metav1.PartialObjectMetadataList{}
	names.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	complete, err := cluster.Each(ctx, k, names, namespace, func(o *metav1.PartialObjectMetadata) error {
		i.others[client.ObjectKeyFromObject(o)] = true
		return nil
	}, client.MatchingFieldsSelector{Selector: fields.AndSelectors(
		fields.OneTermNotEqualSelector("type", string(corev1.SecretTypeDockerConfigJson)),
		fields.OneTermNotEqualSelector("type", string(corev1.SecretTypeDockercfg)))})
	i.whole = complete
	i.settle()
	return i, err
}
