package year

import (
	"context"
	"flag"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/target"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/broker"
)

var crowd = flag.Int("crowd", 1000, "how many credentials are created at once to see their refreshes spread out")

const (
	// The crowd's tokens live for crowdLife, and fall due within crowdJitter before half of that.
	crowdLife   = time.Hour
	crowdJitter = crowdLife / 10
	// settles is when the crowd has forgotten that it was created at once; then it is watched.
	settles, watched = 24 * time.Hour, 3 * time.Hour
	// perRegion keeps so few credentials in each region that nobody waits for a limit.
	perRegion = 10
)

// punctual is a cloud without faults, which notes when it is called.
type punctual struct {
	mu    sync.Mutex
	calls []time.Duration
	began time.Time
}

// Token implements providers.Provider.
func (p *punctual) Token(_ context.Context, req providers.Request) (providers.Token, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, time.Since(p.began))
	return providers.Token{
		Logins: []providers.Login{{
			Username: "u", Password: providers.Sensitive(fmt.Sprint("token-", len(p.calls))), Hosts: []string{hostOf(req.Registry.ECR.Region, req.Registry.ECR.ExternalID)},
		}},
		ExpiresAt: time.Now().Add(crowdLife),
	}, nil
}

// Endpoint implements providers.Endpointer.
func (*punctual) Endpoint(req providers.Request) string { return req.Registry.ECR.Region }

// between counts the calls in each window from one time to another.
func (p *punctual) between(from, to, window time.Duration) []int {
	counts := make([]int, int((to-from)/window))
	for _, at := range p.calls {
		if at >= from && at < from+time.Duration(len(counts))*window {
			counts[int((at-from)/window)]++
		}
	}
	return counts
}

// peak is the largest count, and its ratio to the mean.
func peak(counts []int) (most int, ratio float64) {
	sum := 0
	for _, n := range counts {
		most, sum = max(most, n), sum+n
	}
	return most, float64(most) * float64(len(counts)) / float64(max(sum, 1))
}

// Credentials that are created at once must not be refreshed at once for ever: each has a cycle of its own length, so that after a day every
// minute has about as many refreshes as any other.
func TestRefreshesOfACrowdSpreadOut(t *testing.T) {
	// What chance does to a count depends on the count alone: of a smaller crowd longer windows are counted.
	window := 10_000 * time.Minute / time.Duration(*crowd)
	synctest.Test(t, func(t *testing.T) {
		p := &punctual{began: time.Now()}
		liveInACrowd(t, p, settles+watched)
		first := p.between(crowdLife/2-crowdJitter, crowdLife/2+time.Second, crowdJitter/4)
		most, ratio := peak(first)
		t.Logf("first cycle: %v in quarters of the jitter window, at most %d, %.2f of the mean", first, most, ratio)
		if ratio > 1.3 {
			t.Errorf("the first refreshes are not spread over the jitter window: %v", first)
		}
		later := p.between(settles, settles+watched, window)
		most, ratio = peak(later)
		t.Logf("from %s on: at most %d refreshes in %s, %.2f of the mean", settles, most, window, ratio)
		if ratio > 1.3 {
			t.Errorf("refreshes come in waves: %v", later)
		}
	})
}

// liveInACrowd creates the credentials within a second, and lets so much time pass.
func liveInACrowd(t *testing.T, p *punctual, lifetime time.Duration) {
	t.Helper()
	todo := newAgenda()
	shelf := newCluster(*seed, func(_, after *corev1.Secret) {
		if of, ok := credential.TargetOf(after); ok {
			todo.wake(of, 0)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	controller := target.New(target.Config{
		Cache: shelf, Live: shelf, Client: shelf, Clock: clock.RealClock{}, Namespace: "regcred-system", Outcomes: unheard{},
		Tokens:               broker.New(ctx, broker.Options{Clock: clock.RealClock{}, Providers: map[string]providers.Provider{"ecr": p}}),
		AllowAmbientIdentity: true, Wake: todo.wake,
	})
	for n := range *crowd {
		c := &v1alpha1.RegistryCredential{}
		c.Namespace, c.Name = fmt.Sprint("c", n), fmt.Sprint("c", n)
		c.Spec.Registries = []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: fmt.Sprint("region-", n/perRegion), ExternalID: c.Name}}}
		for _, of := range shelf.add(c, c.Namespace) {
			todo.add(of, time.Now().Add(time.Duration(n)*time.Second/time.Duration(*crowd)))
		}
	}
	for {
		of, ok := todo.next(p.began.Add(lifetime))
		if !ok {
			break
		}
		result, err := controller.Reconcile(ctx, of)
		if err != nil {
			todo.failed(of)
			continue
		}
		todo.add(of, time.Now().Add(result.RequeueAfter))
	}
	cancel()
	synctest.Wait()
}
