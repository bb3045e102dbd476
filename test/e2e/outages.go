package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/regcred/regcred/test/cloud"
)

// aftermath is how long pulls may fail after the first refresh that follows an outage: as long as from one refresh to the next. A machine
// under load needs some of it between reading a Secret and telling that the pull has failed.
const aftermath = tokenLife / 2

func shortOutage(ctx context.Context, e *e2e) (outcome, error) {
	seen, err := e.surviveOutage(ctx, "short-outage", tokenLife/2)
	o := seen.outcome()
	if err == nil {
		err = seen.ours.failed()
	}
	return o, err
}

// longOutage: pulls fail from the death of the token until the first refresh after the outage, and no later.
func longOutage(ctx context.Context, e *e2e) (outcome, error) {
	seen, err := e.surviveOutage(ctx, "long-outage", tokenLife*3/2)
	o := seen.outcome()
	if err != nil {
		return o, err
	}
	if o.failedPulls == 0 {
		return o, fmt.Errorf("no pull failed in an outage of the cloud of %s, although tokens live %s", tokenLife*3/2, tokenLife)
	}
	late := slices.DeleteFunc(slices.Clone(seen.ours.failures), func(f failedPull) bool { return !f.last.After(seen.recovered.Add(aftermath)) })
	if len(late) > e.history.Overtaken(seen.recovered) {
		return o, fmt.Errorf("a pull failed %.0f s after the first refresh that followed the outage%s", late[0].last.Sub(seen.recovered).Seconds(), firstOf(late))
	}
	return o, nil
}

// sideBySide is what became of pods with Regcred, and of others with the CronJob, in one outage of the cloud.
type sideBySide struct {
	length           time.Duration
	ours, theirs     flow
	ended, recovered time.Time
	jobRecovered     time.Time
}

func (s sideBySide) outcome() outcome {
	o := outcome{pods: s.ours.pods, failedPulls: count(s.ours.failures)}
	if s.ours.pods == 0 {
		return o
	}
	o.note("outage of %.0f s; the next refresh of Regcred came %.0f s after its end, that of the CronJob %.0f s",
		s.length.Seconds(), s.recovered.Sub(s.ended).Seconds(), s.jobRecovered.Sub(s.ended).Seconds())
	o.note("Regcred: %s", s.ours)
	o.note("CronJob: %s", s.theirs)
	return o
}

func (f flow) String() string {
	affected := map[string]struct{}{}
	for _, failure := range f.failures {
		affected[failure.pod] = struct{}{}
	}
	return fmt.Sprintf("%d pods at %.1f a second, %d of them not at once, %d failed pulls", f.pods, f.perSec, len(affected), count(f.failures))
}

// surviveOutage has the same done to both sides: pods are created all the time, and in the middle the cloud gives out no token.
func (e *e2e) surviveOutage(ctx context.Context, name string, length time.Duration) (sideBySide, error) {
	seen := sideBySide{length: length}
	ours, theirs := name, name+"-cronjob"
	defer e.discard(ctx, ours, theirs)
	if err := e.createNamespace(ctx, ours, true); err != nil {
		return seen, err
	}
	if _, err := e.secret(ctx, ours, shared); err != nil {
		return seen, err
	}
	if err := e.createNamespace(ctx, theirs, false); err != nil {
		return seen, err
	}
	job, err := e.startCronJob(ctx, theirs)
	if err != nil {
		return seen, err
	}
	defer job.stop()

	var bystanders []*corev1.Pod
	var streams []*stream
	for _, namespace := range []string{ours, theirs} {
		pod, err := e.bystander(ctx, namespace)
		if err != nil {
			return seen, err
		}
		bystanders = append(bystanders, pod)
	}
	for _, namespace := range []string{ours, theirs} {
		s, err := e.startStream(ctx, namespace)
		if err != nil {
			return seen, err
		}
		streams = append(streams, s)
	}
	if err := e.outage(ctx, job, &seen); err != nil {
		return seen, err
	}
	for _, s := range streams {
		s.enough()
	}
	if seen.ours, err = streams[0].finish(ctx); err != nil {
		return seen, err
	}
	if seen.theirs, err = streams[1].finish(ctx); err != nil {
		return seen, err
	}
	for _, pod := range bystanders {
		if err := e.stillRuns(ctx, pod); err != nil {
			return seen, err
		}
	}
	return seen, nil
}

// outage begins when the next refresh of either side falls into it, and returns when both have recovered, and some pods later.
func (e *e2e) outage(ctx context.Context, job *cronJob, seen *sideBySide) error {
	if err := e.awaitOutage(ctx, job, seen.length); err != nil {
		return err
	}
	e.say("  the cloud gives out no token for %.0f s", seen.length.Seconds())
	e.lab.AWS.ECR.Set(cloud.Fault{Outage: cloud.OutageServerError})
	defer e.lab.AWS.ECR.Reset() // whatever happens: others need the cloud, too
	if err := pause(ctx, seen.length); err != nil {
		return err
	}
	e.lab.AWS.ECR.Reset()
	seen.ended = time.Now()
	e.say("  the cloud is back")
	var err error
	if seen.recovered, err = e.issuedAfter(ctx, seen.ended); err != nil {
		return err
	}
	e.say("  the first token after it")
	if seen.jobRecovered, err = job.succeededAfter(ctx, seen.ended); err != nil {
		return err
	}
	return pause(ctx, aftermath+tokenLife/6)
}

// awaitOutage waits for a moment at which Regcred's token is between a sixth and a third of its life old. So the outage meets the next
// refresh, and its end leaves time for what is real here and not of the token's scale: between two tries after a failure there are up to
// 16 s here and up to 2 min for tokens of 12 h. The job's next run must fall into the outage, too, and its own repetitions with it.
func (e *e2e) awaitOutage(ctx context.Context, job *cronJob, length time.Duration) error {
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		age := time.Since(e.lastToken().IssuedAt)
		next := time.Until(job.next())
		if age > tokenLife/6 && age < tokenLife/3 && next > time.Second && next < length-tokenLife/6 {
			tick.Stop()
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lastToken is the last that the cloud has issued to the controller itself for the shared credential.
func (e *e2e) lastToken() cloud.Token {
	for _, t := range slices.Backward(e.lab.AWS.Tokens()) {
		if t.Principal == e.lab.AWS.Ambient().ARN() && t.Region == region {
			return t
		}
	}
	return cloud.Token{}
}

// issuedAfter waits for the next token, and returns when it was issued.
func (e *e2e) issuedAfter(ctx context.Context, moment time.Time) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for tick := time.NewTicker(50 * time.Millisecond); ; {
		if issued := e.lastToken().IssuedAt; issued.After(moment) {
			tick.Stop()
			return issued, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("waiting for a token after the outage: %w", ctx.Err())
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
