package cluster

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// hashed are the kinds behind a ReplicaSet, by the label whose value its name ends with.
var hashed = []struct{ label, kind string }{{"pod-template-hash", "Deployment"}, {"rollouts-pod-template-hash", "Rollout"}}

// Maker is who would make the next pod like this: the Deployment rather than its ReplicaSet, and the pod itself if nobody would.
func Maker(p *corev1.Pod) (kind, name string) {
	owner := metav1.GetControllerOf(p)
	if owner == nil || owner.Kind == "Node" { // the mirror of a static pod
		return "Pod", p.Name
	}
	for _, h := range hashed {
		if hash := p.Labels[h.label]; owner.Kind == "ReplicaSet" && hash != "" {
			return h.kind, strings.TrimSuffix(owner.Name, "-"+hash)
		}
	}
	return owner.Kind, owner.Name
}

// Images are what the kubelet pulls for a pod, each once: for containers of every sort, and for volumes.
func Images(spec *corev1.PodSpec) []string {
	var images []string
	add := func(image string) {
		if !slices.Contains(images, image) {
			images = append(images, image)
		}
	}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		add(c.Image)
	}
	for _, c := range spec.EphemeralContainers {
		add(c.Image)
	}
	for _, v := range spec.Volumes {
		if v.Image != nil {
			add(v.Image.Reference)
		}
	}
	return images
}
