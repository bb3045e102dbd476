package lab

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/regcred/regcred/test/port"
)

// Clock is the machine's, ahead of it by what Advance has added. Clouds and steered controllers may share one.
type Clock struct{ ahead atomic.Int64 }

// Now is the time of this clock.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// Pass moves the clock while no controller runs; one that is started later is told.
func (c *Clock) Pass(by time.Duration) { c.ahead.Add(int64(by)) }

// Steered is a controller that was built for tests: they move its clock, and see its heap.
type Steered struct {
	*Controller
	clock   *Clock
	address string
}

// StartSteered builds the controller with the tag lab, and starts it with this clock and without a Lease.
func (l *Lab) StartSteered(ctx context.Context, c *Clock, log io.Writer, args ...string) (*Steered, error) {
	return l.startSteered(ctx, c, func() (*Controller, error) { return l.StartControllerAs(ctx, Namespace, "regcred", log, args...) })
}

// StartProfiled does so with a Lease, as StartController, and with the machine's clock.
func (l *Lab) StartProfiled(ctx context.Context, log io.Writer, args ...string) (*Steered, error) {
	return l.startSteered(ctx, &Clock{}, func() (*Controller, error) { return l.StartController(ctx, log, args...) })
}

func (l *Lab) startSteered(ctx context.Context, c *Clock, start func() (*Controller, error)) (*Steered, error) {
	if err := l.buildSteered(ctx); err != nil {
		return nil, err
	}
	address, err := port.Address(ctx)
	if err != nil {
		return nil, err
	}
	l.ControllerEnv = append(l.ControllerEnv, "REGCRED_LAB="+address) // the last of a name counts
	controller, err := start()
	if err != nil {
		return nil, err
	}
	s := &Steered{controller, c, address}
	err = s.advance(ctx, time.Duration(c.ahead.Load()))
	return s, err
}

// buildSteered does so once; whoever is started from then on is that.
func (l *Lab) buildSteered(ctx context.Context) error {
	binary := filepath.Join(l.Root, "bin", "regcred-lab")
	if l.Race {
		binary += "-race"
	}
	if l.Binary == binary {
		return nil
	}
	args := []string{"go", "build", "-tags=grpcnotrace,lab", "-o", binary, "./cmd/regcred"}
	if l.Race {
		args = slices.Concat([]string{"env", "CGO_ENABLED=1"}, slices.Insert(args, 2, "-race"))
	}
	build := exec.CommandContext(ctx, "cmd/buildenv", args...)
	build.Dir, build.Env = l.Root, append(os.Environ(), "VERSION=lab")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the controller for tests: %w: %s", err, out)
	}
	l.Binary = binary
	return nil
}

// CanRace is whether there is a C compiler that works with cgo.
func (l *Lab) CanRace(ctx context.Context) bool {
	probe := exec.CommandContext(ctx, "sh", "-c", `echo "int main(void) { return 0; }" | $(go env CC) -x c -o /dev/null -`)
	probe.Dir = l.Root
	return probe.Run() == nil
}

// Advance moves the clock of the controller, and of the clouds that share it.
func (s *Steered) Advance(ctx context.Context, by time.Duration) error {
	s.clock.Pass(by)
	return s.advance(ctx, by)
}

func (s *Steered) advance(ctx context.Context, by time.Duration) error {
	_, err := s.ask(ctx, http.MethodPost, "/advance?by="+url.QueryEscape(by.String()))
	return err
}

// Heap is what is reachable in the controller's memory.
func (s *Steered) Heap(ctx context.Context) (int64, error) {
	answer, err := s.ask(ctx, http.MethodGet, "/heap")
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(answer), 10, 64)
}

func (s *Steered) ask(ctx context.Context, method, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.address+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, res.Status, body)
	}
	return body, err
}

// Profile writes what is reachable in the controller's memory, and by whom, for go tool pprof.
func (s *Steered) Profile(ctx context.Context, path string) error {
	return s.profile(ctx, "/debug/pprof/heap?gc=1", path)
}

// ProfileCPU writes what the controller's processor time went into for so long, for go tool pprof.
func (s *Steered) ProfileCPU(ctx context.Context, lasts time.Duration, path string) error {
	return s.profile(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", int(lasts.Seconds())), path)
}

func (s *Steered) profile(ctx context.Context, of, path string) error {
	profile, err := s.ask(ctx, http.MethodGet, of)
	if err != nil {
		return err
	}
	return os.WriteFile(path, profile, 0o600)
}
