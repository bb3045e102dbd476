package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/controlplane"
)

const (
	companyName = "company"
	// companyPeriod is how often another client writes.
	companyPeriod = 50 * time.Millisecond
	// companyLife is that of the tokens that fall due: they do so in the tenth of it that ends at half of it.
	companyLife = 6 * time.Minute
)

// companyOnly measures what another client's writes take while all Secrets are rotated, and while nothing happens.
func (b *bench) companyOnly(ctx context.Context) error {
	if err := b.prepareNamespaces(ctx); err != nil {
		return err
	}
	if _, err := b.startController(ctx); err != nil {
		return err
	}
	other, user, err := b.otherClient(ctx)
	if err != nil {
		return err
	}
	secrets, err := b.watchNamed(ctx, secretsMetadata(), companyName)
	if err != nil {
		return err
	}
	defer secrets.stop()
	applied, credential := time.Now(), clusterCredential(companyName, "fan-out", nil)
	if _, err := b.burst(ctx, secrets, anything, func() error { return b.Client.Create(ctx, credential) }); err != nil {
		return err
	}
	progress("another client writes while nothing happens")
	began := time.Now()
	idle, err := b.writesTake(ctx, other, func() error { return observe(ctx, time.Until(applied.Add(floor))) })
	if err != nil {
		return err
	}
	rotated, err := b.rotated(ctx, companyName)
	if err != nil {
		return err
	}
	progress("another client writes during a rotation")
	b.AWS.SetTokenLife(companyLife)
	defer b.AWS.SetTokenLife(0)
	all, start := secrets.expect(ctx, b.namespaces, rotated), time.Now()
	busy, err := b.writesTake(ctx, other, func() error {
		if err := b.requestRefresh(ctx, credential); err != nil {
			return err
		}
		_, err := all()
		return err
	})
	if err != nil {
		return err
	}
	took := time.Since(start)
	due, err := b.companyWhenDue(ctx, start, other, secrets)
	if err != nil {
		return err
	}
	refused, err := b.AuditRequests(began, func(r controlplane.AuditRequest) bool { return r.User == user && r.Code == http.StatusTooManyRequests })
	if err != nil {
		return err
	}
	s := b.report.section(fmt.Sprintf("Another client's writes, %d a second, while %d Secrets are rotated on request in %s", time.Second/companyPeriod, b.namespaces, took.Round(100*time.Millisecond)))
	s.add(figure{ID: "company-refused", Name: "refused for too many requests", Value: float64(len(refused)), Target: exactly(0)})
	s.addCompany("company", "", busy, idle)
	s.addCompany("company-due", " when they fall due", due, idle)
	return nil
}

// addCompany tells how much longer writes took than while nothing happened.
func (s *section) addCompany(id, when string, took, idle []time.Duration) {
	for _, percent := range []int{50, 99} {
		s.add(figure{ID: fmt.Sprintf("%s-p%d-ratio", id, percent), Name: fmt.Sprintf("p%d%s, ratio to idle", percent, when), Digits: 2, Target: atMost(2),
			Value: float64(percentile(took, percent)) / float64(percentile(idle, percent)),
			Note:  fmt.Sprintf("%.1f ms to %.1f ms", milliseconds(percentile(took, percent)), milliseconds(percentile(idle, percent)))})
	}
}

// companyWhenDue is what each write of the other client takes while all Secrets fall due that were rotated then, and are rotated over the jitter
// window.
func (b *bench) companyWhenDue(ctx context.Context, then time.Time, other client.Client, secrets *eyes) ([]time.Duration, error) {
	progress("another client writes while Secrets fall due")
	rotated, err := b.rotated(ctx, companyName)
	if err != nil {
		return nil, err
	}
	all := secrets.expect(ctx, b.namespaces, rotated)
	if err := observe(ctx, time.Until(then.Add(companyLife/2-companyLife/10))); err != nil {
		return nil, err
	}
	return b.writesTake(ctx, other, func() error {
		_, err := all()
		return err
	})
}

// otherClient is somebody who may write ConfigMaps in one namespace, and whom the API server limits as it does anybody.
func (b *bench) otherClient(ctx context.Context) (other client.Client, user string, err error) {
	user = companyName
	config, _, err := b.AddUser(user, []string{"system:authenticated"})
	if err != nil {
		return nil, "", err
	}
	meta := metav1.ObjectMeta{Namespace: companyName, Name: companyName}
	if err := b.createNamespace(ctx, companyName, companyName); err != nil {
		return nil, "", err
	}
	for _, o := range []client.Object{
		&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"create", "patch"}}}},
		&rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: companyName},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}},
		&corev1.ConfigMap{ObjectMeta: meta},
	} {
		if err := b.Client.Create(ctx, o); err != nil {
			return nil, "", err
		}
	}
	other, err = client.New(config, client.Options{Scheme: b.Client.Scheme()})
	return other, user, err
}

// writesTake is what each write of the other client takes while something is done, shortest first.
func (b *bench) writesTake(ctx context.Context, other client.Client, during func() error) (took []time.Duration, err error) {
	writing, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		done <- every(writing, companyPeriod, func(n int) error {
			start := time.Now()
			target := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: companyName, Name: companyName}}
			err := other.Patch(writing, target, client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"data":{"n":"%d"}}`, n)))
			if err == nil {
				took = append(took, time.Since(start))
			}
			return err
		})
	}()
	err = during()
	stop()
	if writes := <-done; err == nil {
		err = writes
	}
	slices.Sort(took)
	return took, err
}

// requestRefresh asks for new tokens.
func (b *bench) requestRefresh(ctx context.Context, credential *v1alpha1.ClusterRegistryCredential) error {
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationRefreshRequestedAt, time.Now().UTC().Format(time.RFC3339Nano))
	return b.Client.Patch(ctx, credential, client.RawPatch(types.MergePatchType, patch))
}
