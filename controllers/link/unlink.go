package link

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/retry"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/internal/apiserver"
)

const (
	// pageSize is how many ServiceAccounts are read at once: as many as kubectl and client-go's pager read.
	pageSize = 500
	// atOnce is how many are changed at once.
	atOnce = 32
)

// Unlink removes the links that Regcred has recorded in the namespaces, or in all if one is "", whether or not their credentials are still
// there, and says how many. ours says whose links are to be removed: others may be of another controller. It is for when no controller runs
// any more: one that does makes them again.
//
// A ServiceAccount that cannot be changed keeps none of the others from being unlinked; the error names it.
func Unlink(ctx context.Context, c client.Client, namespaces []string, ours func(credential.Target) bool) (removed int, err error) {
	var failed []error
	for _, namespace := range namespaces {
		n, err := unlinkNamespace(ctx, c, ours, namespace)
		removed += n
		failed = append(failed, err)
	}
	return removed, errors.Join(failed...)
}

func unlinkNamespace(ctx context.Context, c client.Client, ours func(credential.Target) bool, namespace string) (removed int, err error) {
	var failed []error
	for next := ""; ; {
		var list corev1.ServiceAccountList
		if err := c.List(ctx, &list, client.InNamespace(namespace), client.Limit(pageSize), client.Continue(next)); err != nil {
			return removed, errors.Join(append(failed, fmt.Errorf("listing the ServiceAccounts of namespace %q: %w", namespace, err))...)
		}
		links, errs := make([]int, len(list.Items)), make([]error, len(list.Items))
		workqueue.ParallelizeUntil(ctx, atOnce, len(list.Items), func(i int) {
			links[i], errs[i] = unlink(ctx, c, ours, &list.Items[i])
		})
		for i := range list.Items {
			removed += links[i]
			failed = append(failed, errs[i])
		}
		if next = list.Continue; next == "" {
			return removed, errors.Join(append(failed, ctx.Err())...)
		}
	}
}

// unlink removes the links of one ServiceAccount, all in one patch.
func unlink(ctx context.Context, c client.Client, ours func(credential.Target) bool, sa *corev1.ServiceAccount) (removed int, err error) {
	name := client.ObjectKeyFromObject(sa)
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		patch := removal(sa, slices.DeleteFunc(credential.Linked(sa), func(t credential.Target) bool { return !ours(t) })...)
		if patch == nil {
			return nil
		}
		_, err := patch.send(ctx, c, name)
		if err == nil {
			removed = len(patch.Metadata.Annotations)
		}
		if apierrors.IsConflict(err) {
			fresh, failed := read(ctx, c, name)
			if failed != nil || fresh == nil {
				return failed
			}
			sa = fresh
		}
		return err
	})
	if err = apiserver.IgnoreTerminating(client.IgnoreNotFound(err)); err != nil {
		return removed, fmt.Errorf("ServiceAccount %s: %w", name, err)
	}
	return removed, nil
}
