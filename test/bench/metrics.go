package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// metric reads a metric of the controller that has no labels.
func (b *bench) metric(ctx context.Context, name string) (float64, error) {
	text, err := b.controller.ReadMetrics(ctx)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("the controller has no metric %s", name)
}

// awaitMetric waits until a metric of the controller satisfies.
func (b *bench) awaitMetric(ctx context.Context, name string, satisfies func(float64) bool) error {
	ctx, cancel := context.WithTimeout(ctx, phaseLimit)
	defer cancel()
	for {
		value, err := b.metric(ctx, name)
		if err != nil || satisfies(value) {
			return err
		}
		if err := observe(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("waiting for %s, which is %v: %w", name, value, err)
		}
	}
}
