package main

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

const growthName = "growth"

// grown are the sizes that are compared, as shares of all, and with how many rotations each: few Secrets take too little time to be measured at once.
var grown = []struct {
	id               string
	share, rotations int
}{{"few", 30, 2}, {"third", 3, 1}, {"all", 1, 1}}

// growthOnly measures what a rotated Secret costs the controller's processor, and what it holds, as the namespaces of one credential grow in number.
func (b *bench) growthOnly(ctx context.Context) error {
	if _, err := b.startController(ctx); err != nil {
		return err
	}
	secrets, err := b.watchNamed(ctx, secretsMetadata(), growthName)
	if err != nil {
		return err
	}
	defer secrets.stop()
	credential := clusterCredential(growthName, "fan-out", nil)
	if err := b.Client.Create(ctx, credential); err != nil {
		return err
	}
	b.namespaces = 0
	s := b.report.section("A rotated Secret as the namespaces of one credential grow in number")
	var least float64
	for _, size := range grown {
		if err := b.growTo(ctx, b.targets/size.share, secrets); err != nil {
			return err
		}
		var cpu time.Duration
		for range size.rotations {
			p, err := b.rotateOnceMore(ctx, credential, secrets)
			if err != nil {
				return err
			}
			cpu += p.cpu
		}
		used, err := b.controller.Usage()
		if err != nil {
			return err
		}
		each := milliseconds(cpu) / float64(b.namespaces*size.rotations)
		if least == 0 {
			least = each
		}
		s.add(figure{ID: "growth-cpu-" + size.id, Name: fmt.Sprintf("CPU with %d, to the first", b.namespaces), Digits: 2, Value: each / least, Target: atMost(1.1),
			Note: fmt.Sprintf("%.3f ms", each)})
		s.add(figure{ID: "growth-rss-anon-" + size.id, Name: "RSS without the executable's pages", Unit: " MiB", Digits: 1, Value: mebibytes(used.RSS - used.FileRSS)})
	}
	return nil
}

// growTo adds namespaces until there are so many, and waits for their Secrets.
func (b *bench) growTo(ctx context.Context, n int, secrets *eyes) error {
	before := b.namespaces
	progress("growing from %d to %d namespaces", before, n)
	isNew := func(o client.Object) bool { return o.GetNamespace() >= namespaceName(before) }
	all := secrets.expect(ctx, n-before, isNew)
	err := forEach(ctx, n-before, func(ctx context.Context, i int) error {
		return b.createNamespace(ctx, namespaceName(before+i), "fan-out")
	})
	if err != nil {
		return err
	}
	b.namespaces = n
	if _, err := all(); err != nil {
		return err
	}
	return observe(ctx, trailing)
}

// rotateOnceMore rotates all Secrets, as soon as a token may be minted again.
func (b *bench) rotateOnceMore(ctx context.Context, credential *v1alpha1.ClusterRegistryCredential, secrets *eyes) (p phase, err error) {
	progress("a rotation of %d Secrets", b.namespaces)
	if err := observe(ctx, floor); err != nil {
		return p, err
	}
	rotated, err := b.rotated(ctx, credential.Name)
	if err != nil {
		return p, err
	}
	p, err = b.burst(ctx, secrets, rotated, func() error { return b.requestRefresh(ctx, credential) })
	if err != nil {
		return p, fmt.Errorf("rotation of %d: %w", b.namespaces, err)
	}
	return p, nil
}
