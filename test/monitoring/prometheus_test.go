package monitoring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/regcred/regcred/test/controlplane/assets"
	"github.com/regcred/regcred/test/port"
)

// hurry is how many times faster than in production alerts are evaluated: every duration of the rules, `for` and ranges, is divided by
// it. What the rules compare stays as it is: it is relative to the tokens' life, which the emulated cloud decides on.
const hurry = 150

// interval is between two scrapes, and between two evaluations.
const interval = 500 * time.Millisecond

var durations = regexp.MustCompile(`\b(\d+)(s|m|h|d)\b`)

// hurried is the rules with all durations divided.
func (f ruleFile) hurried(t *testing.T) ruleFile {
	t.Helper()
	units := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	shorter := func(text string) string {
		return durations.ReplaceAllStringFunc(text, func(d string) string {
			parts := durations.FindStringSubmatch(d)
			n, err := strconv.Atoi(parts[1])
			if err != nil {
				t.Fatal(err)
			}
			return strconv.FormatInt((time.Duration(n)*units[parts[2]]/hurry).Milliseconds(), 10) + "ms"
		})
	}
	for _, g := range f.Groups {
		for i := range g.Rules {
			r := &g.Rules[i]
			r.Expr, r.For = shorter(r.Expr), shorter(r.For)
		}
	}
	return f
}

// prometheus is a running server.
type prometheus struct {
	*testing.T
	url string
}

// startPrometheus starts a server that scrapes the controllers as a ServiceMonitor would, and evaluates the rules in a
// hurry. It ends with the test.
func startPrometheus(t *testing.T, rules ruleFile, metrics ...string) *prometheus {
	t.Helper()
	dir := t.TempDir()
	rules.hurried(t).write(t, filepath.Join(dir, "rules.yaml"))
	config := fmt.Sprintf("global: {scrape_interval: %[1]s, scrape_timeout: %[1]s, evaluation_interval: %[1]s}\nrule_files: [rules.yaml]\n"+
		"scrape_configs:\n- job_name: regcred\n  static_configs:\n", interval)
	for i, m := range metrics {
		address := strings.TrimSuffix(strings.TrimPrefix(m, "http://"), "/metrics")
		config += fmt.Sprintf("  - {targets: [%q], labels: {namespace: regcred-system, pod: regcred-%d}}\n", address, i)
	}
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address, err := port.Address(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program(t, assets.Prometheus), "--config.file="+filepath.Join(dir, "prometheus.yaml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 15 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // the test's context ends before
		_ = cmd.Wait()
		_ = log.Close()
		if t.Failed() {
			raw, _ := os.ReadFile(log.Name())
			t.Logf("Prometheus said:\n%s", raw)
		}
	})
	p := &prometheus{T: t, url: "http://" + address}
	p.until("Prometheus is ready", func() (bool, string) {
		res, err := p.get("/-/ready")
		if err != nil {
			return false, err.Error()
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK, res.Status
	})
	return p
}

func (p *prometheus) get(path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(p.Context(), http.MethodGet, p.url+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req)
}

// sample is one series of an answer.
type sample struct {
	labels map[string]string
	value  float64
}

// query asks for the present. What is not a number is left out.
func (p *prometheus) query(expr string) []sample {
	p.Helper()
	res, err := p.get("/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		p.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		Error string `json:"error"`
		Data  struct {
			Type   string `json:"resultType"`
			Result []struct {
				Metric map[string]string  `json:"metric"`
				Value  [2]json.RawMessage `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.Error != "" || answer.Data.Type != "vector" {
		p.Fatalf("%s: %s of type %q, %v", expr, answer.Error, answer.Data.Type, err)
	}
	var samples []sample
	for _, r := range answer.Data.Result {
		text, err := strconv.Unquote(string(r.Value[1]))
		value, err2 := strconv.ParseFloat(text, 64)
		if err := errors.Join(err, err2); err != nil {
			p.Fatal(err)
		}
		if !math.IsNaN(value) {
			samples = append(samples, sample{r.Metric, value})
		}
	}
	return samples
}

// patience bounds every wait: an alert comes after 30 s at most, and the machine may be busy.
const patience = 90 * time.Second

// until polls: Prometheus tells nobody what it finds. It also says what is seen instead.
func (p *prometheus) until(what string, done func() (ok bool, seen string)) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	tick := time.NewTicker(interval / 2)
	defer tick.Stop()
	for {
		ok, seen := done()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			p.Fatalf("waited in vain for: %s; seen instead: %s", what, seen)
		}
	}
}
