package assets

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// usual is what a build takes on two cores with nothing cached, as far as the ones before it have not built its parts.
var usual = map[string]time.Duration{
	Etcd: 45 * time.Second, APIServer: 7 * time.Minute, Kubectl: 40 * time.Second, ControllerManager: 2 * time.Minute,
	Scheduler: time.Minute, Kubelet: 2 * time.Minute, Prometheus: 5 * time.Minute, Promtool: time.Minute,
}

// buildWatch tells how a build goes on: on a terminal by a line that moves, elsewhere by a line a minute.
type buildWatch struct {
	to       io.Writer
	what     string        // the binary with its version
	expected time.Duration // how long it may take
	last     bool          // expected is what it took on this machine
	more     int           // binaries that are to be built after it
	record   func(time.Duration) error

	mu       sync.Mutex
	compiled int
	said     []string // what the compiler said beside the names of packages
}

func (r release) watch(to io.Writer, cache, name string, more int) *buildWatch {
	took := durations{filepath.Join(cache, "durations.json")}
	w := &buildWatch{to: to, what: name + " " + r.version, more: more, expected: usual[name]}
	if last, ok := took.read()[name]; ok {
		w.expected, w.last = last, true
	}
	w.record = func(d time.Duration) error { return took.add(name, d) }
	return w
}

// run runs `go build -v`, which prints a package a line.
func (w *buildWatch) run(cmd *exec.Cmd) error {
	start := time.Now()
	fmt.Fprintf(w.to, "building %s from its module: %s, once per version%s\n", w.what, w.estimate(), w.rest())
	reader, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = writer, writer
	var read sync.WaitGroup
	read.Go(func() { w.read(reader) })
	done := make(chan struct{})
	var told sync.WaitGroup
	told.Go(func() { w.tell(start, done) })

	err := cmd.Run()
	_ = writer.Close()
	close(done)
	read.Wait()
	told.Wait()
	if err != nil {
		return fmt.Errorf("%w: %s", err, strings.Join(w.said, "\n"))
	}
	took := time.Since(start)
	fmt.Fprintf(w.to, "%s is ready after %s\n", w.what, took.Round(time.Second))
	return w.record(took)
}

func (w *buildWatch) estimate() string {
	if w.last {
		return fmt.Sprintf("it took %s here", w.expected.Round(time.Second))
	}
	return fmt.Sprintf("it takes up to %s on two cores", w.expected)
}

func (w *buildWatch) rest() string {
	if w.more == 0 {
		return ""
	}
	return fmt.Sprintf(", and %d more after it", w.more)
}

func (w *buildWatch) read(from io.Reader) {
	const most = 20 // lines of a failing build
	for lines := bufio.NewScanner(from); lines.Scan(); {
		line := lines.Text()
		w.mu.Lock()
		if isPackage(line) {
			w.compiled++
		} else if w.said = append(w.said, line); len(w.said) > most {
			w.said = slices.Delete(w.said, 0, 1)
		}
		w.mu.Unlock()
	}
}

func isPackage(line string) bool { return !strings.ContainsAny(line, " :#") }

func (w *buildWatch) tell(start time.Time, done <-chan struct{}) {
	every, end := time.Minute, "\n"
	terminal := isTerminal(w.to)
	if terminal {
		every, end = time.Second, "\r"
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			if terminal {
				fmt.Fprintf(w.to, "%*s\r", lineWidth, "")
			}
			return
		case <-ticker.C:
			fmt.Fprintf(w.to, "%-*s%s", lineWidth, w.line(time.Since(start)), end)
		}
	}
}

const lineWidth = 78

func (w *buildWatch) line(passed time.Duration) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	const width = 20
	filled := min(int(width*passed/max(w.expected, time.Second)), width-1) // full only when it is done
	return fmt.Sprintf("  [%s%s] %s, %d packages", strings.Repeat("#", filled), strings.Repeat(".", width-filled), passed.Round(time.Second), w.compiled)
}

func isTerminal(to io.Writer) bool {
	file, ok := to.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// durations are the times that builds took on this machine, by binary.
type durations struct{ path string }

// read takes an unreadable file for an empty one: it decides nothing but a line of text.
func (d durations) read() map[string]time.Duration {
	took := map[string]time.Duration{}
	if raw, err := os.ReadFile(d.path); err != nil || json.Unmarshal(raw, &took) != nil {
		return map[string]time.Duration{}
	}
	return took
}

func (d durations) add(name string, took time.Duration) error {
	all := d.read()
	all[name] = took
	raw, err := json.Marshal(all)
	return errors.Join(err, os.WriteFile(d.path, raw, 0o600))
}
