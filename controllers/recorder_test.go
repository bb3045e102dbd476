package controllers

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/regcred/regcred/api/v1alpha1"
)

// counted counts events by what they are regarding and related to.
type counted map[string]int

func (c counted) Eventf(regarding, related runtime.Object, _, _, _, _ string, _ ...any) {
	c[causer(regarding, related)]++
}

func TestANamespaceHasAShareOfEvents(t *testing.T) {
	now := clocktesting.NewFakePassiveClock(time.Date(2026, time.November, 1, 12, 0, 0, 0, time.UTC))
	got := counted{}
	metrics := prometheus.NewRegistry()
	r := ration(got, now, NewDroppedEvents(metrics))
	of := func(namespace, name string) runtime.Object {
		return &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	}
	platform := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: "platform"}}
	secretIn := func(namespace string) runtime.Object {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "platform"}}
	}
	for i := range 1000 {
		r.Eventf(of("mallory", fmt.Sprint(i)), nil, corev1.EventTypeNormal, "Rotated", "Refresh", "")
		r.Eventf(platform, secretIn("mallory"), corev1.EventTypeNormal, "Repaired", "Restore", "")
	}
	r.Eventf(of("mallory", "a"), nil, corev1.EventTypeWarning, "AccessDenied", "Refresh", "")
	r.Eventf(of("neighbour", "a"), nil, corev1.EventTypeNormal, "Rotated", "Refresh", "")
	r.Eventf(platform, secretIn("neighbour"), corev1.EventTypeNormal, "Repaired", "Restore", "")
	r.Eventf(platform, nil, corev1.EventTypeNormal, "Rotated", "Refresh", "")
	want := map[string]int{"mallory": eventsAtOnce + 1, "/platform/mallory": eventsAtOnce, "neighbour": 1, "/platform/neighbour": 1, "/platform/": 1}
	if fmt.Sprint(map[string]int(got)) != fmt.Sprint(want) {
		t.Errorf("recorded %v, want %v", got, want)
	}
	families, err := metrics.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("%v, %v", families, err)
	}
	dropped := map[string]float64{}
	for _, m := range families[0].GetMetric() {
		dropped[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
	}
	if want := (map[string]float64{corev1.EventTypeNormal: 2 * (1000 - eventsAtOnce), corev1.EventTypeWarning: 0}); !maps.Equal(dropped, want) {
		t.Errorf("counted %v, want %v", dropped, want)
	}
	now.SetTime(now.Now().Add(eventEvery))
	for range 2 {
		r.Eventf(of("mallory", "a"), nil, corev1.EventTypeNormal, "Rotated", "Refresh", "")
	}
	if got["mallory"] != eventsAtOnce+2 {
		t.Errorf("%d more after %s, want one", got["mallory"]-eventsAtOnce-1, eventEvery)
	}
}
