//go:build lab

package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/pprof"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"
)

// A build with the tag lab is for tests alone: over the address that REGCRED_LAB names, they move the controller's clock, ask for its heap
// and take profiles.
func init() {
	steered := &steeredClock{}
	system = steered
	mux := http.NewServeMux()
	mux.HandleFunc("POST /advance", func(w http.ResponseWriter, r *http.Request) {
		by, err := time.ParseDuration(r.FormValue("by"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		steered.ahead.Add(int64(by))
	})
	mux.HandleFunc("GET /heap", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, liveHeap()) })
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	server := &http.Server{Addr: os.Getenv("REGCRED_LAB"), Handler: mux, ReadHeaderTimeout: time.Second}
	go func() {
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, "the lab's server:", err)
			os.Exit(1)
		}
	}()
}

// steeredClock is the machine's, ahead of it by what tests have asked for.
type steeredClock struct {
	clock.RealClock
	ahead atomic.Int64
}

func (c *steeredClock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *steeredClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// liveHeap is the bytes of what is reachable. The second collection takes what pools have kept through the first.
func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
