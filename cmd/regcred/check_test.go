package main

import (
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/view"
)

func TestAControllerWorksWhileItRenewsItsLease(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{coordinationv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	held := func(holder string, age time.Duration) *coordinationv1.Lease {
		return &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: "home", Name: leaseName},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: new(int32(15)), RenewTime: &metav1.MicroTime{Time: now.Add(-age)}},
		}
	}
	for _, c := range []struct {
		lease *coordinationv1.Lease
		want  string
	}{
		{held("pod-a", 2*time.Second), ""},
		{held("pod-a", 15*time.Second), ""},
		{held("pod-a", 16*time.Second), "pod-a has not renewed"},
		{held("", time.Second), "nobody holds"},
		{&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "home", Name: leaseName}}, "nobody holds"},
		{&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "elsewhere", Name: leaseName}}, "none has ever taken"},
	} {
		err := working(t.Context(), fake.NewClientBuilder().WithScheme(scheme).WithObjects(c.lease).Build(), "home", view.Scope{}, now)
		if got := err == nil; got != (c.want == "") || !got && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.lease.Spec, err, c.want)
		}
	}
}
