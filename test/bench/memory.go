package main

import (
	"context"
	"fmt"
	"time"
)

// memory fans out to very many namespaces and looks at nothing but the controller's memory, before and after a restart.
func (b *bench) memory(ctx context.Context) error {
	if err := b.prepareNamespaces(ctx); err != nil {
		return err
	}
	s, err := b.serve(ctx, nil)
	if err != nil {
		return err
	}
	if err := b.statusSettled(ctx, s.last()); err != nil {
		return err
	}
	settled, err := b.controller.Usage()
	if err != nil {
		return err
	}
	if err := b.controller.Stop(); err != nil {
		return err
	}
	if _, err := b.startController(ctx); err != nil {
		return err
	}
	if err := observe(ctx, afterRestart); err != nil {
		return err
	}
	restarted, err := b.controller.Usage()
	if err != nil {
		return err
	}
	r := b.report.section(fmt.Sprintf("Memory with %d targets", b.namespaces))
	add := func(id, name string, bytes int64, target target, note string) {
		r.add(figure{ID: id, Name: name, Value: mebibytes(bytes), Unit: " MiB", Digits: 1, Target: target, Note: note})
	}
	add("rss-idle", "RSS before", s.idle.RSS, target{}, "")
	add("rss-fan-out", "RSS after the fan-out", s.last().fanOut.after.RSS, atMost(60), "in "+s.last().fanOut.took.Round(time.Millisecond).String())
	add("rss-rotation", "RSS after a rotation", s.last().rotation.after.RSS, atMost(60), "in "+s.last().rotation.took.Round(time.Millisecond).String())
	add("rss-settled", "RSS when the status is written", settled.RSS, atMost(60), "")
	add("rss-peak", "RSS at its peak", settled.PeakRSS, target{}, "")
	add("rss-restarted", "RSS after a restart", restarted.RSS, atMost(60), "")
	add("rss-restarted-peak", "RSS after a restart, at its peak", restarted.PeakRSS, target{}, "")
	return nil
}
