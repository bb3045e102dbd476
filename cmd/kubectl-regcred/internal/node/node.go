// Package node says which registries the nodes of a cluster may pull from by an identity of their own.
package node

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/internal/partition"
)

// The clouds whose nodes can bring credentials for their registries.
const (
	ECR    = "ecr"
	Google = "google"
	ACR    = "acr"
	none   = "none"
)

// googleHost is one of Artifact Registry, or of gcr.io.
var googleHost = regexp.MustCompile(`^([a-z0-9-]+-docker\.pkg\.dev|([a-z]+\.)?gcr\.io)$`)

// CloudOf is the cloud whose private registry the host is; empty if it is of none.
func CloudOf(host string) string {
	_, ecr := partition.OfECRHost(host)
	switch {
	case ecr:
		return ECR
	case googleHost.MatchString(host):
		return Google
	case partition.IsACRHost(host):
		return ACR
	default:
		return ""
	}
}

// Identities are the clouds whose registries the nodes may pull from.
type Identities struct {
	clouds  []string
	unknown bool
}

// Parse reads the value of --node-provider; empty for what is to be guessed.
func Parse(list string) (Identities, error) {
	var i Identities
	for cloud := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' }) {
		if !slices.Contains([]string{ECR, Google, ACR, none}, cloud) {
			return i, fmt.Errorf("--node-provider: %q is none of ecr, google, acr, none", cloud)
		}
		i.clouds = append(i.clouds, cloud)
	}
	i.unknown = list == ""
	return i, nil
}

// Known says whether somebody has said what the nodes can.
func (i Identities) Known() bool { return !i.unknown }

// May says whether a node may pull from the host without a Secret.
func (i Identities) May(host string) bool {
	cloud := CloudOf(host)
	return cloud != "" && (i.unknown || slices.Contains(i.clouds, cloud))
}

// providerIDs are how the IDs of nodes begin, by cloud.
var providerIDs = map[string]string{"aws://": ECR, "gce://": Google, "azure://": ACR}

// Guess finds out where nodes run, by the first page of them: those of a cluster are of one cloud, or of few. Where that does not show, they
// may be anywhere.
func Guess(ctx context.Context, k *cluster.Cluster) (Identities, error) {
	i := Identities{unknown: true}
	nodes := &corev1.NodeList{}
	read, err := k.Page(ctx, nodes)
	for _, n := range nodes.Items {
		for prefix, cloud := range providerIDs {
			if strings.HasPrefix(n.Spec.ProviderID, prefix) && !slices.Contains(i.clouds, cloud) {
				i.clouds = append(i.clouds, cloud)
			}
		}
	}
	i.unknown = !read || len(i.clouds) == 0
	return i, err
}

// Any says whether the nodes pull from any private registry by themselves.
func (i Identities) Any() bool {
	return i.unknown || slices.ContainsFunc(i.clouds, func(cloud string) bool { return cloud != none })
}
