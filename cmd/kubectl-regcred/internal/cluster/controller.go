package cluster

import (
	"context"

	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// leaseName is the Lease that the replicas of the controller elect their leader by.
	leaseName = "regcred.regcred.dev"
	// usualNamespace is where the controller is installed unless somebody chooses otherwise.
	usualNamespace = "regcred-system"
)

// Leases are the Leases of controllers in the cluster: one, if it is installed once.
func (c *Cluster) Leases(ctx context.Context) ([]*coordinationv1.Lease, error) {
	var found []*coordinationv1.Lease
	_, err := Each(ctx, c, &coordinationv1.LeaseList{}, "", func(l *coordinationv1.Lease) error {
		found = append(found, l)
		return nil
	}, client.MatchingFields{"metadata.name": leaseName})
	return found, err
}

// ControllerNamespace is where the controller runs, or else where it usually does.
func (c *Cluster) ControllerNamespace(ctx context.Context) string {
	if found, err := c.Leases(ctx); err == nil && len(found) == 1 {
		return found[0].Namespace
	}
	return usualNamespace
}
