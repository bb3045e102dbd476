package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

const (
	// neighbourPairs are measured, each without and beside the abuse, in turns, so that both see the machine in the same mood.
	neighbourPairs = 5
	// neighbourArrivals come in each half of a pair.
	neighbourArrivals = 60
)

// neighbours is what was measured without the abuse and beside it, pair by pair.
type neighbours struct{ calm, beside []pace }

// neighbour measures how long credentials take that arrive beside a tenant who does its worst at the endpoint that they need, and how long without.
func (b *bench) neighbour(ctx context.Context) error {
	role := cloud.Role{ARN: neighboursRole, TrustedPrincipals: []string{b.AWS.Ambient().ARN()}, MayGetToken: true, Pull: []string{"*"}}
	if err := b.AWS.AddRole(role); err != nil {
		return err
	}
	if err := b.prepareGreedy(ctx); err != nil {
		return err
	}
	b.AWS.ECR.Set(cloud.Fault{Latency: cloudLatency})
	defer b.AWS.ECR.Reset()
	var n neighbours
	for pair := range neighbourPairs {
		halves := []func(context.Context, *neighbours, int) error{b.calm, b.beside}
		if pair%2 == 1 { // so that a drift cancels out
			slices.Reverse(halves)
		}
		for _, half := range halves {
			if err := half(ctx, &n, pair); err != nil {
				return err
			}
		}
	}
	b.reportNeighbours(n)
	return nil
}

// calm is a half of a pair without the abuse.
func (b *bench) calm(ctx context.Context, n *neighbours, pair int) error {
	b.AWS.ResetCalls()
	p, err := b.neighboursArrive(ctx, fmt.Sprintf("calm-%d", pair))
	b.report.must(b.AWS.Calls().Failed(assumeAction) == 0, "the greedy tenant was not calm in pair %d", pair)
	n.calm = append(n.calm, p)
	return err
}

// beside is a half of a pair beside the abuse.
func (b *bench) beside(ctx context.Context, n *neighbours, pair int) error {
	stop, err := b.abuse(ctx, pair)
	if err != nil {
		return err
	}
	if err := observe(ctx, trailing); err != nil {
		return errors.Join(err, stop())
	}
	b.AWS.ResetCalls()
	p, err := b.neighboursArrive(ctx, fmt.Sprintf("beside-%d", pair))
	if err != nil {
		return err
	}
	waiting, err := b.metric(ctx, waitingMetric)
	if err != nil {
		return err
	}
	failed := b.AWS.Calls().Failed(assumeAction)
	b.report.must(waiting >= greedyCredentials && failed >= neighbourArrivals/2, "the greedy tenant was not greedy in pair %d: %d calls failed, %.0f wait", pair, failed, waiting)
	n.beside = append(n.beside, p)
	return stop()
}

// neighboursArrive lets credentials arrive, each in a namespace of its own and with a source of its own.
func (b *bench) neighboursArrive(ctx context.Context, name string) (pace, error) {
	progress("%d credentials arrive, %s", neighbourArrivals, name)
	return b.credentialsArriveBeside(ctx, name, neighbourArrivals, func(i int) []v1alpha1.Registry {
		entry := ecrOf(fmt.Sprintf("%012d", 300000000000+i))
		entry.ECR.RoleARN, entry.ECR.ExternalID = neighboursRole, fmt.Sprintf("%s-%d", name, i)
		return []v1alpha1.Registry{entry}
	})
}

func (b *bench) reportNeighbours(n neighbours) {
	s := b.report.section(fmt.Sprintf("Credentials that arrive beside a tenant of %d entries that fail at the same endpoint, %d edits of them a second and %d annotations of %d KiB a second: "+
		"%d pairs of %d arrivals, 5 a second", entriesOfGreedy*greedyCredentials, time.Second/greedyEdit, time.Second/greedyAnnotation, greedyBytes>>10, neighbourPairs, neighbourArrivals))
	regcred, bare := func(p pace) []time.Duration { return p.regcred }, func(p pace) []time.Duration { return p.bare }
	for _, percent := range []int{50, 99} {
		id := func(what string) string { return fmt.Sprintf("neighbour-p%d%s", percent, what) }
		name := func(what string) string { return fmt.Sprintf("p%d%s", percent, what) }
		s.add(figure{ID: id("-calm"), Name: name(" without"), Value: milliseconds(percentile(pooled(n.calm, regcred), percent)), Unit: " ms", Digits: 1})
		s.add(figure{ID: id(""), Name: name(" beside"), Value: milliseconds(percentile(pooled(n.beside, regcred), percent)), Unit: " ms", Digits: 1})
		ours, anybodys := n.ratios(regcred, percent), n.ratios(bare, percent)
		s.add(figure{ID: id("-ratio"), Name: name(", median ratio"), Value: median(ours), Digits: 2, Note: each(ours, 2)})
		s.add(figure{ID: id("-bare-ratio"), Name: name(" of a bare client, median ratio"), Value: median(anybodys), Digits: 2, Note: each(anybodys, 2)})
		own := make([]float64, len(ours))
		for i := range own {
			own[i] = ours[i] / anybodys[i]
		}
		s.add(figure{ID: id("-own-ratio"), Name: name(", the one to the other"), Value: median(own), Digits: 2, Note: each(own, 2)})
	}
}

// ratios are those of beside to calm, of each pair.
func (n neighbours) ratios(of func(pace) []time.Duration, percent int) []float64 {
	ratios := make([]float64, len(n.calm))
	for i := range ratios {
		ratios[i] = float64(percentile(of(n.beside[i]), percent)) / float64(percentile(of(n.calm[i]), percent))
	}
	return ratios
}

// pooled is all of them together, shortest first.
func pooled(paces []pace, of func(pace) []time.Duration) []time.Duration {
	var all []time.Duration
	for _, p := range paces {
		all = append(all, of(p)...)
	}
	slices.Sort(all)
	return all
}

func (b *bench) neighbourOnly(ctx context.Context) error {
	if _, err := b.startController(ctx); err != nil {
		return err
	}
	return b.neighbour(ctx)
}
