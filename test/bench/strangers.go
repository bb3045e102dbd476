package main

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// strangeNamespaces have nothing to do with any credential. What is in them is spread over all of them.
	strangeNamespaces = 200
	strangeAccounts   = 20000
	// fatAccounts have annotations of fatBytes, and there are as many Secrets of that size.
	fatAccounts = 500
	fatBytes    = 64 << 10
)

// strangersOnly measures what memory is taken by what is none of Regcred's business. Each figure is that of a new process, after what its
// start took was given back.
func (b *bench) strangersOnly(ctx context.Context) error {
	namespace := func(i int) string { return fmt.Sprintf("stranger-%03d", i%strangeNamespaces) }
	err := forEach(ctx, strangeNamespaces, func(ctx context.Context, i int) error { return b.createNamespace(ctx, namespace(i), "stranger") })
	if err != nil {
		return err
	}
	empty, err := b.memoryOfANewProcess(ctx)
	if err != nil {
		return err
	}
	fat := strings.Repeat("x", fatBytes)
	progress("creating %d Secrets and ServiceAccounts with annotations of %d KiB", fatAccounts, fatBytes>>10)
	err = forEach(ctx, fatAccounts, func(ctx context.Context, i int) error {
		meta := metav1.ObjectMeta{Namespace: namespace(i), Name: fmt.Sprintf("fat-%04d", i), Annotations: map[string]string{"example.com/large": fat}}
		if err := b.Client.Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta}); err != nil {
			return err
		}
		return b.Client.Create(ctx, &corev1.Secret{ObjectMeta: meta, StringData: map[string]string{"large": fat}})
	})
	if err != nil {
		return err
	}
	besideFat, err := b.memoryOfANewProcess(ctx)
	if err != nil {
		return err
	}
	progress("creating %d ServiceAccounts", strangeAccounts)
	err = forEach(ctx, strangeAccounts, func(ctx context.Context, i int) error {
		return b.Client.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace(i), Name: fmt.Sprintf("account-%05d", i)}})
	})
	if err != nil {
		return err
	}
	besideMany, err := b.memoryOfANewProcess(ctx)
	if err != nil {
		return err
	}
	s := b.report.section("Memory of its own that strangers take")
	s.add(figure{ID: "strangers-empty", Name: "without them", Value: mebibytes(empty), Unit: " MiB", Digits: 1})
	s.add(figure{ID: "strangers-fat", Name: fmt.Sprintf("%d Secrets, %d annotations, %d KiB each", fatAccounts, fatAccounts, fatBytes>>10),
		Value: mebibytes(besideFat - empty), Unit: " MiB", Digits: 1, Target: atMost(2)})
	s.add(figure{ID: "strangers-accounts", Name: fmt.Sprintf("%d ServiceAccounts", strangeAccounts), Value: mebibytes(besideMany - besideFat), Unit: " MiB", Digits: 1, Target: atMost(6)})
	return nil
}

// memoryOfANewProcess is what the controller has of its own, without the executable's pages, once it rests.
func (b *bench) memoryOfANewProcess(ctx context.Context) (int64, error) {
	if _, err := b.startController(ctx); err != nil {
		return 0, err
	}
	if err := observe(ctx, afterRestart); err != nil {
		return 0, err
	}
	used, err := b.controller.Usage()
	if err != nil {
		return 0, err
	}
	return used.RSS - used.FileRSS, b.controller.Stop()
}
