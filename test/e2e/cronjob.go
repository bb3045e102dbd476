package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/regcred/regcred/test/controlplane/assets"
)

// cronJobPeriod is to tokenLife what 8 hours are to 12: the usual schedule of such jobs.
const cronJobPeriod = tokenLife * 2 / 3

// naiveSecret is the CronJob's.
const naiveSecret = "ecr-login"

//go:embed cronjob.sh
var cronJobScript string

// cronJob runs the script of the tutorials on a schedule, as the CronJob controller would. A run that fails is not repeated before the
// next: a Job gives up after ten minutes (backoffLimit 6), which is nothing beside 8 hours.
type cronJob struct {
	e         *e2e
	namespace string
	path      string
	cancel    context.CancelFunc
	done      chan struct{}

	mu      sync.Mutex
	due     time.Time
	last    time.Time // when the last run that succeeded began
	lastErr error
}

// startCronJob returns after the first run, which must succeed.
func (e *e2e) startCronJob(ctx context.Context, namespace string) (*cronJob, error) {
	j := &cronJob{e: e, namespace: namespace, path: filepath.Join(e.dir, namespace), done: make(chan struct{})}
	if err := j.furnish(ctx); err != nil {
		return nil, err
	}
	ctx, j.cancel = context.WithCancel(ctx)
	j.due = time.Now().Add(cronJobPeriod)
	if err := j.run(ctx); err != nil {
		j.cancel()
		return nil, err
	}
	go func() {
		defer close(j.done)
		ticker := time.NewTicker(cronJobPeriod)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
			j.mu.Lock()
			j.due = time.Now().Add(cronJobPeriod)
			j.mu.Unlock()
			if err := j.run(ctx); err != nil && ctx.Err() == nil {
				e.say("  the CronJob has failed: %v", err)
			}
		}
	}()
	return j, nil
}

func (j *cronJob) stop() {
	j.cancel()
	<-j.done
}

// furnish makes the two programs that the script calls.
func (j *cronJob) furnish(ctx context.Context) error {
	binaries, err := assets.Find(ctx, assets.Kubectl)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.Mkdir(j.path, 0o700); err != nil {
		return err
	}
	for name, content := range map[string]string{
		"aws":     fmt.Sprintf("#!/bin/sh\nexec '%s' %s\n", self, loginCommand),
		"kubectl": fmt.Sprintf("#!/bin/sh\nexec '%s' --kubeconfig='%s' --namespace='%s' \"$@\"\n", filepath.Join(binaries, assets.Kubectl), j.e.lab.Kubeconfig(), j.namespace),
	} {
		if err := os.WriteFile(filepath.Join(j.path, name), []byte(content), 0o700); err != nil {
			return err
		}
	}
	return nil
}

func (j *cronJob) run(ctx context.Context) error {
	began := time.Now()
	cmd := exec.CommandContext(ctx, "sh", "-c", cronJobScript)
	cmd.Env = append(j.e.operatorEnv(), "PATH="+j.path+":"+os.Getenv("PATH"), "HOME="+j.path,
		"SECRET="+naiveSecret, "REGISTRY="+registry)
	out, err := cmd.CombinedOutput()
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		j.lastErr = fmt.Errorf("%w: %s", err, lastLine(out))
		return j.lastErr
	}
	j.last, j.lastErr = began, nil
	return nil
}

// next is when the next run begins.
func (j *cronJob) next() time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.due
}

// succeededAfter waits for a run that began after a moment and succeeded, and returns when it began.
func (j *cronJob) succeededAfter(ctx context.Context, moment time.Time) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		j.mu.Lock()
		last, err := j.last, j.lastErr
		j.mu.Unlock()
		if last.After(moment) {
			tick.Stop()
			return last, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("waiting for the CronJob to succeed after the outage: %w (%w)", ctx.Err(), err)
		}
	}
}
