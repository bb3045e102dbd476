package main

import (
	"context"
	"fmt"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

const (
	// few is the number of targets that a latency with very many is compared with.
	few       = 10
	crowdName = "crowd"
)

// latencyOnly measures latencies as multiples of a bare client's, beside few targets and beside very many.
func (b *bench) latencyOnly(ctx context.Context) error {
	if _, err := b.startController(ctx); err != nil {
		return err
	}
	var credentials, namespaces [2]pace
	for i, targets := range []int{few, b.targets} {
		if err := b.crowd(ctx, targets); err != nil {
			return err
		}
		var err error
		if credentials[i], err = b.credentialsBeside(ctx, targets); err != nil {
			return err
		}
		progress("%d namespaces arrive beside %d targets", b.arrivals, targets)
		if namespaces[i], err = b.namespacesArriveBeside(ctx, fmt.Sprintf("namespaces-%d", targets), b.arrivals); err != nil {
			return err
		}
	}
	b.reportBeside("credential", fmt.Sprintf("Credential created → Secret seen by a watch, beyond the cloud's %s", cloudLatency), credentials, cloudLatency)
	b.reportBeside("namespace", "Namespace created → Secret and link seen by a watch", namespaces, 0)
	return nil
}

// crowd gives so many namespaces a Secret of one credential, those that have one included.
func (b *bench) crowd(ctx context.Context, targets int) error {
	progress("a credential for %d namespaces", targets)
	name := fmt.Sprintf("%s-%d", crowdName, targets)
	err := forEach(ctx, targets, func(ctx context.Context, i int) error {
		return b.createNamespace(ctx, fmt.Sprintf("%s-%05d", name, i), name)
	})
	if err != nil {
		return err
	}
	secrets, err := b.watchNamed(ctx, secretsMetadata(), name)
	if err != nil {
		return err
	}
	defer secrets.stop()
	all := secrets.expect(ctx, targets, anything)
	if err := b.Client.Create(ctx, clusterCredential(name, name, nil)); err != nil {
		return err
	}
	if _, err := all(); err != nil {
		return err
	}
	return observe(ctx, trailing)
}

func (b *bench) credentialsBeside(ctx context.Context, targets int) (pace, error) {
	progress("%d credentials arrive beside %d targets", b.arrivals, targets)
	b.AWS.ECR.Set(cloud.Fault{Latency: cloudLatency})
	defer b.AWS.ECR.Reset()
	return b.credentialsArriveBeside(ctx, fmt.Sprintf("credentials-%d", targets), b.arrivals, func(i int) []v1alpha1.Registry {
		return []v1alpha1.Registry{ecrOf(fmt.Sprintf("%07d%05d", targets, i))}
	})
}

// reportBeside tells multiples of a bare client's latencies, and how those with very many targets compare with those with few.
func (b *bench) reportBeside(id, title string, paces [2]pace, beyond time.Duration) {
	s := b.report.section(fmt.Sprintf("%s, as a multiple of a bare client's that makes the same writes: %d arrivals of each, 5 a second", title, b.arrivals))
	for _, percent := range []int{50, 99} {
		goal := atMost(1.6)
		if percent == 99 {
			goal = atMost(3)
		}
		for i, targets := range []string{"few", "many"} {
			p := paces[i]
			s.add(figure{ID: fmt.Sprintf("%s-p%d-%s", id, percent, targets), Name: fmt.Sprintf("p%d, %d targets", percent, []int{few, b.targets}[i]),
				Value: p.over(percent, beyond), Digits: 2, Target: goal,
				Note: fmt.Sprintf("%.1f ms to %.1f ms", milliseconds(percentile(p.regcred, percent)-beyond), milliseconds(percentile(p.bare, percent)))})
		}
		s.add(figure{ID: fmt.Sprintf("%s-p%d-growth", id, percent), Name: fmt.Sprintf("p%d, very many to few", percent), Digits: 2,
			Value: paces[1].over(percent, beyond) / paces[0].over(percent, beyond)})
	}
}
