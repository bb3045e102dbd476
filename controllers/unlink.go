package controllers

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/retry"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// unlinkPage is how many ServiceAccounts are read at once: as many as kubectl and client-go's pager read.
const unlinkPage = 500

// Unlink removes the links that Regcred has recorded, whether or not their credentials are still there, and says how many. It is for when
// no controller runs any more: one that does makes them again.
//
// A ServiceAccount that cannot be changed keeps none of the others from being unlinked; the error names it.
func Unlink(ctx context.Context, c client.Client, scope Scope) (removed int, err error) {
	namespaces := []string{metav1.NamespaceAll}
	if scope.confined() {
		namespaces = sets.List(scope.Namespaces)
	}
	var failed []error
	for _, namespace := range namespaces {
		n, err := unlinkNamespace(ctx, c, scope, namespace)
		removed += n
		failed = append(failed, err)
	}
	return removed, errors.Join(failed...)
}

func unlinkNamespace(ctx context.Context, c client.Client, scope Scope, namespace string) (removed int, err error) {
	var failed []error
	for next := ""; ; {
		var page corev1.ServiceAccountList
		if err := c.List(ctx, &page, client.InNamespace(namespace), client.Limit(unlinkPage), client.Continue(next)); err != nil {
			return removed, errors.Join(append(failed, fmt.Errorf("listing the ServiceAccounts of namespace %q: %w", namespace, err))...)
		}
		links, errs := make([]int, len(page.Items)), make([]error, len(page.Items))
		workqueue.ParallelizeUntil(ctx, workers, len(page.Items), func(i int) {
			links[i], errs[i] = unlink(ctx, c, scope, &page.Items[i])
		})
		for i := range page.Items {
			removed += links[i]
			failed = append(failed, errs[i])
		}
		if next = page.Continue; next == "" {
			return removed, errors.Join(append(failed, ctx.Err())...)
		}
	}
}

// unlink removes the links of one ServiceAccount.
func unlink(ctx context.Context, c client.Client, scope Scope, sa *corev1.ServiceAccount) (removed int, err error) {
	name := client.ObjectKeyFromObject(sa)
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		for _, key := range scope.recorded(sa) {
			patch := linkPatch(key, sa, false)
			if patch == nil {
				continue
			}
			patched, err := patch.send(ctx, c, name)
			if apierrors.IsConflict(err) {
				var fresh corev1.ServiceAccountList
				// A list of one, for which no further right is needed.
				if err := c.List(ctx, &fresh, client.InNamespace(name.Namespace), client.MatchingFields{metav1.ObjectNameField: name.Name}); err != nil {
					return err
				}
				if len(fresh.Items) == 0 {
					return nil
				}
				sa = &fresh.Items[0]
			}
			if err != nil {
				return err
			}
			sa = patched
			removed++
		}
		return nil
	})
	if err = ignoreGone(client.IgnoreNotFound(err)); err != nil {
		return removed, fmt.Errorf("ServiceAccount %s: %w", name, err)
	}
	return removed, nil
}

// recorded are the credentials of the scope that have links on the ServiceAccount. Others may be of another controller.
func (s Scope) recorded(sa *corev1.ServiceAccount) []Key {
	var keys []Key
	for _, index := range indexServiceAccount(sa) {
		key := keyFromIndex(index, sa.Namespace)
		if s.confined() && key.Namespace == "" || s.refuses(key) != nil {
			continue
		}
		keys = append(keys, key)
	}
	return keys
}
