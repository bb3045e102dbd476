package audit

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
)

// addPod takes a pod in under the name of its maker: replicas are one workload, and a finding about it is the same after the next rollout.
func (i *inventory) addPod(p *corev1.Pod) {
	kind, name := cluster.Maker(p)
	key := maker{kind, p.Namespace, name}
	w := i.pods[key]
	if w == nil {
		w = &workload{kind: kind, namespace: p.Namespace, name: name, account: p.Spec.ServiceAccountName, pod: true}
		if w.account == "" {
			w.account = "default"
		}
		i.pods[key] = w
	}
	for _, ref := range p.Spec.ImagePullSecrets {
		w.secrets = union(w.secrets, ref.Name)
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
	made := map[maker]int{}
	for n, w := range i.workloads {
		made[maker{w.kind, w.namespace, w.name}] = n
	}
	for key, w := range i.pods {
		if cronJob := i.jobs[types.NamespacedName{Namespace: key.namespace, Name: key.name}]; key.kind == "Job" && cronJob != "" {
			key.kind, key.name = "CronJob", cronJob
			w.kind, w.name = key.kind, key.name
		}
		if n, read := made[key]; read {
			i.workloads[n].images = union(i.workloads[n].images, w.images...)
			continue
		}
		made[key] = len(i.workloads)
		i.workloads = append(i.workloads, *w)
	}
	i.pods = nil
}
