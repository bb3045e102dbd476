package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// errTenureOver ends a replica, and each of its writes until it has ended.
var errTenureOver = errors.New("the Lease has run out: another replica may be at work")

// tenure is for how long a replica may work: from the request that renewed its Lease, for as long as the others then leave the Lease to it.
// The elector alone does not see to that: after a process has stood still it tries to renew for --leader-elect-renew-deadline, and the
// controllers work on beside those of a successor until it gives up.
type tenure struct {
	lasts time.Duration
	over  context.CancelCauseFunc

	mu    sync.Mutex
	until time.Time
	timer *time.Timer
}

// newTenure returns a context that ends with the tenure, which begins when the Lease is got.
func newTenure(ctx context.Context, lasts time.Duration) (*tenure, context.Context) {
	ctx, over := context.WithCancelCause(ctx)
	return &tenure{lasts: lasts, over: over}, ctx
}

// bind has the elector's requests renew the tenure, and lets those of all other clients write in it only.
func (t *tenure) bind(elector, others *rest.Config) {
	elector.Wrap(func(next http.RoundTripper) http.RoundTripper { return renewing{t, next} })
	others.Wrap(func(next http.RoundTripper) http.RoundTripper { return writing{t, next} })
}

func (t *tenure) renew(from time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until = from.Add(t.lasts)
	if t.timer != nil {
		t.timer.Stop()
	}
	t.timer = time.AfterFunc(time.Until(t.until), func() { t.over(errTenureOver) })
}

func (t *tenure) holds() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Now().Before(t.until)
}

type renewing struct {
	*tenure
	next http.RoundTripper
}

func (r renewing) RoundTrip(req *http.Request) (*http.Response, error) {
	began := time.Now()
	res, err := r.next.RoundTrip(req)
	if err == nil && res.StatusCode < http.StatusMultipleChoices && !reads(req) {
		r.renew(began)
	}
	return res, err
}

type writing struct {
	*tenure
	next http.RoundTripper
}

// RoundTrip lets reads pass, and reviews of who reads the metrics: a replica that waits for the Lease makes them, too.
func (w writing) RoundTrip(req *http.Request) (*http.Response, error) {
	if reads(req) || strings.HasSuffix(req.URL.Path, "reviews") || w.holds() {
		return w.next.RoundTrip(req)
	}
	if req.Body != nil {
		_ = req.Body.Close()
	}
	return nil, errTenureOver
}

func reads(req *http.Request) bool {
	return req.Method == http.MethodGet || req.Method == http.MethodHead
}
