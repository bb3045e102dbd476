package broker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/broker"
)

// judge gives this verdict on every login, after a while; a negative one is as long as it is waited for.
type judge struct {
	after   time.Duration
	verdict providers.Verdict
	err     error
	// panics is whether a trial does, and picky whether the choice of what to try does.
	panics, picky bool

	mu     sync.Mutex
	trials int
}

func (j *judge) Pick(req providers.Request, token providers.Token) (providers.Login, providers.Pull, error) {
	if j.picky {
		panic("canary")
	}
	return token.Logins[0], providers.Pull{Host: req.Registry.ECR.Region, Repository: req.Registry.Verify.Repository, Reference: "latest"}, nil
}

func (j *judge) Try(ctx context.Context, _ providers.Login, _ providers.Pull) (providers.Verdict, error) {
	j.mu.Lock()
	j.trials++
	j.mu.Unlock()
	if j.after < 0 {
		<-ctx.Done()
		return providers.Verdict{}, ctx.Err()
	}
	pass(j.after)
	if j.panics {
		panic("canary")
	}
	return j.verdict, j.err
}

func (j *judge) count() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.trials
}

func (f *fake) Cure() string { return "grant it" }

func TestALoginIsTriedOnceAMinuteForARepository(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &judge{after: time.Second, verdict: providers.Verdict{Result: providers.PullDenied}}
		b := with(t, &fake{}, broker.Options{Trials: j})
		login := providers.Login{Username: "u", Password: "p"}
		pull := providers.Pull{Host: "registry.example", Repository: "a"}
		woken := 0
		for range 1000 {
			waiter := waking(func() { woken++ })
			for range 3 { // who asks again is woken once all the same
				if _, err := b.Try(request("eu-west-1"), login, pull, waiter); !isPending(err) {
					t.Fatalf("got %v, want pending", err)
				}
			}
		}
		pass(2 * time.Second)
		synctest.Wait()
		if woken != 1000 || j.count() != 1 {
			t.Errorf("%d woken by %d trials, want 1000 by 1", woken, j.count())
		}
		if verdict, err := b.Try(request("eu-west-1"), login, pull, nil); err != nil || verdict.Result != providers.PullDenied || verdict.Cure != "grant it" {
			t.Errorf("%+v, %v", verdict, err)
		}
		for name, c := range map[string]struct {
			login providers.Login
			pull  providers.Pull
		}{
			"another repository": {login, providers.Pull{Host: "registry.example", Repository: "b"}},
			"another token":      {providers.Login{Username: "u", Password: "q"}, pull},
		} {
			if _, err := b.Try(request("eu-west-1"), c.login, c.pull, nil); !isPending(err) {
				t.Errorf("%s: %v, want a trial of its own", name, err)
			}
		}
		pass(2 * time.Minute)
		if _, err := b.Try(request("eu-west-1"), login, pull, nil); !isPending(err) {
			t.Errorf("after two minutes: %v, want another trial", err)
		}
		pass(2 * time.Second)
		synctest.Wait()
	})
}

func TestTrialsOfOneTenantLeaveRoomForAnothers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &judge{after: 10 * time.Second, err: down()}
		b := with(t, &fake{}, broker.Options{Trials: j})
		pending, crowded := 0, 0
		for n := range 5000 {
			_, err := b.Try(entry("attacker", "eu-west-1", n), providers.Login{Password: "p"}, providers.Pull{Host: fmt.Sprint("tarpit", n), Repository: "a"}, nil)
			f, ok := errors.AsType[*providers.Error](err)
			switch {
			case isPending(err):
				pending++
			case ok && f.Reason == v1alpha1.ReasonThrottled && f.RetryAfter > 0:
				crowded++
			default:
				t.Fatal(err)
			}
		}
		if pending != 8 || crowded != 5000-8 {
			t.Errorf("%d trials under way, %d sent away", pending, crowded)
		}
		start, ended := time.Now(), make(chan struct{})
		if _, err := b.Try(entry("victim", "eu-west-1", 0), providers.Login{Password: "p"}, providers.Pull{Host: "registry.example"}, waking(func() { close(ended) })); !isPending(err) {
			t.Fatalf("got %v for the neighbour", err)
		}
		if <-ended; time.Since(start) != 10*time.Second {
			t.Errorf("the neighbour's trial took %s", time.Since(start))
		}
	})
}

// verified is an entry whose tokens are tried at the host.
func verified(tenant, host string, n int) providers.Request {
	req := request(host)
	req.Tenant = tenant
	req.Registry.ECR.ExternalID = fmt.Sprint(n)
	req.Registry.Verify = &v1alpha1.Verify{Repository: "team/app"}
	return req
}

func TestANewTokenIsProvenOrRefusedOrNeither(t *testing.T) {
	for name, c := range map[string]struct {
		judge  *judge
		want   metav1.ConditionStatus
		reason string
	}{
		"allowed":                  {&judge{}, metav1.ConditionTrue, ""},
		"denied":                   {&judge{verdict: providers.Verdict{Result: providers.PullDenied, Answer: "HTTP status 403, DENIED"}}, "", v1alpha1.ReasonVerificationFailed},
		"login refused":            {&judge{verdict: providers.Verdict{Result: providers.LoginRefused, Answer: "HTTP status 401"}}, "", v1alpha1.ReasonVerificationFailed},
		"undecided":                {&judge{err: providers.Errorf(v1alpha1.ReasonUnavailable, "a proxy answers")}, metav1.ConditionUnknown, ""},
		"an error of another type": {&judge{err: errors.New("canary")}, metav1.ConditionUnknown, ""},
		"hung":                     {&judge{after: -1}, metav1.ConditionUnknown, ""},
		"panics":                   {&judge{panics: true}, metav1.ConditionUnknown, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, b, _ := revocable(t, broker.Options{Trials: c.judge})
				token, err := ask(b, verified("a", "registry.example", 0), time.Time{})
				if c.reason == "" {
					if err != nil || token.Verified != c.want || len(p.ended()) != 0 {
						t.Errorf("%q, %v, revoked %v", token.Verified, err, p.ended())
					}
					return
				}
				f := failure(t, err, c.reason)
				synctest.Wait()
				if !quotes(err, "registry.example/team/app") || !quotes(err, c.judge.verdict.Answer) || !quotes(err, "grant it") || f.RetryAfter < 2*time.Minute {
					t.Errorf("%v, in %s", err, f.RetryAfter)
				}
				if got := p.ended(); len(got) != 1 || got[0] != "id-1" {
					t.Errorf("revoked %v: a token that nobody gets lives on", got)
				}
			})
		})
	}
}

// TestAPanicOfATrialHarmsNobody: what a trial works on, the entry and the registry's answers, a tenant chooses.
func TestAPanicOfATrialHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &judge{picky: true}
		p, b, _ := revocable(t, broker.Options{Trials: j})
		_, err := ask(b, verified("attacker", "registry.example", 0), time.Time{})
		if _ = failure(t, err, v1alpha1.ReasonInternal); quotes(err, "canary") {
			t.Errorf("%v quotes the panic", err)
		}
		synctest.Wait()
		if got := p.ended(); len(got) != 1 || got[0] != "id-1" {
			t.Errorf("revoked %v: a token that nobody gets lives on", got)
		}
		j.picky, j.panics = false, true
		login, pull := providers.Login{Username: "u"}, providers.Pull{Host: "registry.example", Repository: "team/app"}
		woken := make(chan struct{})
		_, err = b.Try(verified("attacker", "registry.example", 1), login, pull, waking(func() { close(woken) }))
		if !isPending(err) {
			t.Fatal(err)
		}
		<-woken
		_, err = b.Try(verified("attacker", "registry.example", 1), login, pull, nil)
		if _ = failure(t, err, v1alpha1.ReasonInternal); quotes(err, "canary") {
			t.Errorf("%v quotes the panic", err)
		}
		j.panics = false
		if token := must(t, b, verified("victim", "registry.example", 2), time.Time{}); token.Verified != metav1.ConditionTrue {
			t.Errorf("the neighbour's token is %q", token.Verified)
		}
	})
}

func TestATarpitHoldsNoPlacesOfTheCloud(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour}
		j := &judge{after: -1}
		b := with(t, p, broker.Options{Trials: j})
		for n := range 500 {
			_, _ = b.Token(verified("attacker", "tarpit.example", n), time.Time{}, nil)
		}
		for n := range 20 {
			pass(time.Second)
			start := time.Now()
			req := verified("victim", "tarpit.example", n) // the very same endpoint of the cloud
			req.Registry.Verify = nil
			if must(t, b, req, time.Time{}); time.Since(start) > 300*time.Millisecond {
				t.Errorf("a neighbour's token takes %s", time.Since(start))
			}
		}
		pass(10 * time.Minute)
	})
}

func TestOneTenantCannotHaveHundredsOfProofsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: time.Hour}
		j := &judge{after: -1}
		b := with(t, p, broker.Options{Trials: j})
		for n := range 500 {
			_, _ = b.Token(verified("attacker", fmt.Sprint("tarpit", n%200), n), time.Time{}, nil)
		}
		_, _ = b.Token(verified("victim", "tarpit0", 1000), time.Time{}, nil)
		pass(20 * time.Second)
		if got := j.count(); got != 32+1 {
			t.Errorf("%d trials are under way, want 32 and the neighbour's", got)
		}
		// What finds no room for a trial is published all the same.
		undecided := 0
		for n := range 500 {
			if token, ok := b.InMemory(verified("attacker", fmt.Sprint("tarpit", n%200), n)); ok && token.Verified == metav1.ConditionUnknown {
				undecided++
			}
		}
		if undecided != 500-32 {
			t.Errorf("%d tokens are published without a trial", undecided)
		}
		pass(time.Minute)
	})
}
