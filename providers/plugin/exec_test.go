package plugin

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stage is where a fake plugin tells that it runs.
type stage struct {
	net.Listener
	program
}

func newStage(t *testing.T, does string, env ...string) *stage {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &stage{listener, program{
		path: self, turns: make(chan struct{}, maxAtOnce),
		env: append(env, fakeDoes+"="+does, fakeAddress+"="+listener.Addr().String()),
	}}
}

// patience bounds a failing test; no passing one waits for it.
const patience = 20 * time.Second

// process is one that holds a connection to the stage.
type process struct {
	net.Conn
	pid int
}

func (s *stage) accept(t *testing.T) process {
	t.Helper()
	_ = s.Listener.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	connection, err := s.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	line, err := bufio.NewReader(connection).ReadString('\n')
	pid, numberErr := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || numberErr != nil {
		t.Fatal(err, numberErr)
	}
	return process{connection, pid}
}

// ended waits for the end of the process: its connection is then closed by the kernel.
func (p process) ended(t *testing.T) {
	t.Helper()
	_ = p.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.Copy(io.Discard, p); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the process lives on: %v", err)
	}
}

type result struct {
	output []byte
	err    error
}

func (s *stage) start(ctx context.Context) <-chan result {
	done := make(chan result, 1)
	go func() {
		output, err := s.run(ctx, nil, nil)
		done <- result{output, err}
	}()
	return done
}

func TestAPluginThatHangsIsKilledWithItsChildren(t *testing.T) {
	s := newStage(t, "hang")
	ctx, cancel := context.WithCancel(t.Context())
	done := s.start(ctx)
	first, second := s.accept(t), s.accept(t)
	cancel()
	if r := <-done; !errors.Is(r.err, context.Canceled) {
		t.Errorf("got %v", r.err)
	}
	first.ended(t)
	second.ended(t)
	if len(s.turns) != 0 {
		t.Error("it keeps its turn")
	}
}

func TestAPluginThatNeverStopsWritingIsKilledWithItsChildren(t *testing.T) {
	s := newStage(t, "flood", fakeSecret+"=x")
	done := s.start(t.Context())
	child := s.accept(t)
	if r := <-done; !errors.Is(r.err, errTooLarge) || r.output != nil {
		t.Errorf("got %d bytes, %v", len(r.output), r.err)
	}
	child.ended(t)
}

func TestAChildThatIsLeftBehindIsKilled(t *testing.T) {
	s := newStage(t, "leave", fakeAnswer+"={}")
	done := s.start(t.Context())
	child := s.accept(t)
	if r := <-done; !errors.Is(r.err, exec.ErrWaitDelay) {
		t.Errorf("got %v", r.err)
	}
	child.ended(t)
}

// In a container the controller inherits every orphan, as this process does here.
func TestAnOrphanDoesNotStayInTheProcessTable(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }()
	s := newStage(t, "hang")
	ctx, cancel := context.WithCancel(t.Context())
	done := s.start(ctx)
	all := []process{s.accept(t), s.accept(t)}
	cancel()
	<-done
	for _, p := range all {
		p.ended(t)
		// Only the kernel knows when it is gone, and it does not tell those that did not wait for it.
		for deadline := time.Now().Add(patience); !errors.Is(syscall.Kill(p.pid, 0), syscall.ESRCH); runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatal("it is still in the table")
			}
		}
	}
}

func TestTurnsAreLimited(t *testing.T) {
	s := newStage(t, "hang")
	for range maxAtOnce - 1 {
		s.turns <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := s.start(ctx)
	s.accept(t)
	if len(s.turns) != maxAtOnce {
		t.Error("a plugin runs without a turn")
	}
	late, giveUp := context.WithCancel(t.Context())
	giveUp()
	started := filepath.Join(t.TempDir(), "started")
	waiting := program{path: s.path, turns: s.turns, env: []string{fakeDoes + "=answer", fakeObserved + "=" + started}}
	if _, err := waiting.run(late, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for a turn ended with %v", err)
	}
	cancel()
	<-done
	if _, err := os.Stat(started); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it was executed without a turn: %v", err)
	}
	if _, err := waiting.run(t.Context(), nil, nil); err != nil {
		t.Errorf("with a turn: %v", err)
	}
}
