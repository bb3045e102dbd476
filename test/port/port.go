// Package port finds TCP ports for processes that are told where to listen.
package port

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// The ports from which one is taken are below those that Linux gives to connections (32768 to 60999 by default, ip_local_port_range in
// ip(7)): one of the latter may be a connection's before its process listens, or while the process is started again.
const first, last = 20000, 32000

// tries bound how often a port is met on which somebody listens.
const tries = 100

var (
	mu    sync.Mutex
	given = map[int]bool{}
)

// Free is a port of this machine on which nobody listens, and that was not given before.
func Free(ctx context.Context) (int, error) {
	for range tries {
		port := first + rand.IntN(last-first)
		if !take(port) {
			continue
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", ":"+strconv.Itoa(port))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("somebody listened on each of %d ports from %d to %d", tries, first, last)
}

// Address is such a port of 127.0.0.1.
func Address(ctx context.Context) (string, error) {
	port, err := Free(ctx)
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}

func take(port int) bool {
	mu.Lock()
	defer mu.Unlock()
	if given[port] {
		return false
	}
	given[port] = true
	return true
}
