package audit

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
)

// addPod takes a pod in under the name of its maker: replicas are one workload, and a finding about it is the same after the next rollout.
func (i *inventory) addPod(p *corev1.Pod) {
	kind, name := cluster.Maker(p)
	var secrets []string
	for _, ref := range p.Spec.ImagePullSecrets {
		secrets = union(secrets, ref.Name)
	}
	key := replicas{maker{kind, p.Namespace, name}, cmp.Or(p.Spec.ServiceAccountName, "default"), strings.Join(secrets, " ")}
	w := i.pods[key]
	if w == nil {
		w = &workload{kind: kind, namespace: p.Namespace, name: name, account: key.account, secrets: secrets, pod: true}
		i.pods[key] = w
	}
	w.images = union(w.images, cluster.Images(&p.Spec)...)
}

func union(all []string, more ...string) []string {
	for _, one := range more {
		if !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	return all
}

// settle gives the pods to their makers, now that all is read. Where the maker is read, its template says which Secrets its pods name; images
// that admission has added to them are its own.
func (i *inventory) settle() {
	made, unread := map[maker]int{}, map[replicas]int{}
	for n, w := range i.workloads {
		made[maker{w.kind, w.namespace, w.name}] = n
	}
	for _, key := range slices.SortedFunc(maps.Keys(i.pods), replicas.compare) {
		w := i.pods[key]
		if cronJob := i.jobs[types.NamespacedName{Namespace: key.namespace, Name: key.name}]; key.kind == "Job" && cronJob != "" {
			key.kind, key.name = "CronJob", cronJob
			w.kind, w.name = key.kind, key.name
		}
		n, known := made[key.maker]
		if !known {
			n, known = unread[key]
		}
		if known {
			i.workloads[n].images = union(i.workloads[n].images, w.images...)
			continue
		}
		unread[key] = len(i.workloads)
		i.workloads = append(i.workloads, *w)
	}
	i.pods = nil
}

func (r replicas) compare(other replicas) int {
	return cmp.Or(cmp.Compare(r.kind, other.kind), cmp.Compare(r.namespace, other.namespace), cmp.Compare(r.name, other.name),
		cmp.Compare(r.account, other.account), cmp.Compare(r.list, other.list))
}
