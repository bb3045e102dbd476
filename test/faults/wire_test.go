package faults

import (
	"context"
	"errors"
	"net"
	"sync"
)

// wire carries bytes between a controller and the API server. It can stop to do so without closing anything, as a router does that has forgotten
// its connections.
type wire struct {
	listener net.Listener
	to       string
	all      sync.WaitGroup

	mu    sync.Mutex
	conns []*carried
	cut   bool // what is connected from now on carries nothing either
}

// carried is one connection through the wire.
type carried struct {
	near, far net.Conn
	mu        sync.Mutex
	dead      bool
}

func newWire(ctx context.Context, to string) (*wire, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &wire{listener: listener, to: to}
	w.all.Go(w.accept)
	return w, nil
}

func (w *wire) address() string { return w.listener.Addr().String() }

func (w *wire) accept() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		far, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", w.to)
		if err != nil {
			_ = near.Close()
			continue
		}
		w.mu.Lock()
		c := &carried{near: near, far: far, dead: w.cut}
		w.conns = append(w.conns, c)
		w.mu.Unlock()
		w.all.Go(func() { c.carry(near, far) })
		w.all.Go(func() { c.carry(far, near) })
	}
}

// carry takes what one end sends, dead or not: a kernel says that it has been received.
func (c *carried) carry(from, to net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !c.isDead() {
			if _, err := to.Write(buffer[:n]); err != nil {
				_ = from.Close()
				return
			}
		}
		if err != nil {
			if !c.isDead() {
				_ = to.Close()
			}
			return
		}
	}
}

func (c *carried) isDead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

// forget lets all connections that there are carry nothing more, and those to come, too, if the wire is cut. It returns how many there were.
func (w *wire) forget(cut bool) (forgotten int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	for _, c := range w.conns {
		c.mu.Lock()
		if !c.dead {
			c.dead = true
			forgotten++
		}
		c.mu.Unlock()
	}
	return forgotten
}

// mend lets connections to come carry bytes again.
func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
}

func (w *wire) close() error {
	errs := []error{w.listener.Close()}
	w.mu.Lock()
	for _, c := range w.conns {
		_, _ = c.near.Close(), c.far.Close() // one end has done so, as a rule
	}
	w.mu.Unlock()
	w.all.Wait()
	return errors.Join(errs...)
}
