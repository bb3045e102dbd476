package main

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/regcred/regcred/controllers/view"
)

func TestNoBurstOfOursCanCostUsTheLease(t *testing.T) {
	limiter := flowcontrol.NewTokenBucketRateLimiter(1, 1)
	cfg := &rest.Config{Host: "https://api.example", RateLimiter: limiter}
	got := managerOptions(cfg, options{leaderElect: true, namespace: "home", renewDeadline: 10 * time.Second}, view.Scope{}, runtime.NewScheme())
	lease := got.LeaderElectionConfig
	if lease == nil || lease == cfg || lease.RateLimiter == limiter || lease.Host != cfg.Host {
		t.Error("the Lease shares the rate limiter of everything else")
	}
	if lease.Timeout == 0 || lease.Timeout >= 10*time.Second {
		t.Errorf("one request for the Lease may take %s, as long as the whole time to renew it", lease.Timeout)
	}
	if !got.LeaderElectionReleaseOnCancel || got.LeaderElectionNamespace != "home" {
		t.Error("the Lease is not released at the end, or is elsewhere")
	}
}
