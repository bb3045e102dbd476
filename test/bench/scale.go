package main

import "context"

// scaleOnly fans out, with links and without, rotates and restarts over very many namespaces. Every figure is that of the usual number, too, so that what grows
// with the number shows.
func (b *bench) scaleOnly(ctx context.Context) error {
	if err := b.prepareNamespaces(ctx); err != nil {
		return err
	}
	raw, err := b.newCeiling(ctx)
	if err != nil {
		return err
	}
	s, err := b.serve(ctx, raw)
	if err != nil {
		return err
	}
	raw.report(&b.report)
	b.reportServed(s)
	if err := b.credentialLatency(ctx); err != nil {
		return err
	}
	if err := b.restart(ctx, s.last()); err != nil {
		return err
	}
	return b.links(ctx, raw)
}
