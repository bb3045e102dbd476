// Package year has Regcred live through a year of clouds that fail, hang, throttle, lie and repeat themselves, in virtual time: no pod may ever
// find a token that has died. What is asked for when, and what is written, the product decides: package target with the real Broker.
package year

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/controllers/target"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/broker"
)

var (
	seed        = flag.Uint64("seed", 1, "the first seed")
	days        = flag.Int("days", 10, "how long the one long world lives")
	credentials = flag.Int("credentials", 12, "how many credentials it has")
	schedules   = flag.Int("schedules", 4, "how many short worlds there are, each with the next seed")
)

const (
	shortDays        = 3
	shortCredentials = 12
	// An outage follows another within so many lives of a token: in short worlds there are more of them.
	outageWithin, shortOutageWithin = 16, 4
)

// TestYear lives through one long world.
func TestYear(t *testing.T) {
	live(t, *seed, *credentials, *days, outageWithin)
}

// TestSchedules lives through many short ones.
func TestSchedules(t *testing.T) {
	for n := range *schedules {
		if live(t, *seed+uint64(n), shortCredentials, shortDays, shortOutageWithin); t.Failed() {
			return
		}
	}
}

func live(t *testing.T, seed uint64, credentials, days, within int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed, credentials, within)
		w.run(time.Duration(days) * 24 * time.Hour)
		w.judge()
		if t.Failed() {
			t.Logf("again: go test ./test/year -run '^%s$' -seed %d -credentials %d -days %d -schedules 1", t.Name(), seed, credentials, days)
		}
	})
}

// world is a controller between an API server and clouds.
type world struct {
	*testing.T
	cloud    *cloud
	cluster  *cluster
	agenda   *agenda
	chance   *rand.Rand
	targets  []credential.Target
	began    time.Time
	restarts int

	controller *target.Reconciler
	stop       context.CancelFunc
	writes     int
	// expired is for how long, in all, Secrets held a token that had died.
	expired time.Duration
	wrong   []string
}

func newWorld(t *testing.T, seed uint64, credentials, within int) *world {
	t.Helper()
	w := &world{T: t, cloud: newCloud(seed, within), agenda: newAgenda(), chance: rand.New(rand.NewPCG(seed, 1<<33)), began: time.Now()}
	w.cluster = newCluster(seed, w.wrote)
	for n := range credentials {
		w.targets = append(w.targets, w.credential(n)...)
	}
	w.start()
	return w
}

// credential makes the nth. One in ten is for three namespaces, and one in four has two entries. Every fifth names the source of another, too.
func (w *world) credential(n int) []credential.Target {
	name, customer := fmt.Sprintf("c%d", n), n-n%5/4
	spec := v1alpha1.CredentialSpec{Registries: []v1alpha1.Registry{entry("prod", customer)}}
	if n%4 == 0 {
		spec.Registries = append(spec.Registries, entry("more", n+4))
	}
	if n%10 > 0 {
		c := &v1alpha1.RegistryCredential{Spec: spec}
		c.Namespace, c.Name = name, name
		return w.cluster.add(c, name)
	}
	c := &v1alpha1.ClusterRegistryCredential{}
	c.Name, c.Spec.CredentialSpec = name, spec
	c.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{"of": v1alpha1.LabelValue(name)}
	return w.cluster.add(c, name+"-a", name+"-b", name+"-c")
}

// entry is that of a customer. The first customers have a cloud each, and of the others each cloud has its share.
func entry(name string, customer int) v1alpha1.Registry {
	e := v1alpha1.Registry{Name: name, ECR: &v1alpha1.ECR{ExternalID: fmt.Sprintf("%s%d", name, customer)}}
	if customer < len(clouds) {
		e.ECR.Region = clouds[customer].region
		return e
	}
	place := customer * 389 % 1000
	for _, h := range clouds {
		if e.ECR.Region = h.region; place < h.share {
			break
		}
		place -= h.share
	}
	return e
}

// start starts a process that remembers nothing.
func (w *world) start() {
	ctx, cancel := context.WithCancel(w.Context())
	w.stop = cancel
	w.controller = target.New(target.Config{
		Cache: w.cluster, Live: w.cluster, Client: w.cluster, Clock: clock.RealClock{}, Namespace: "regcred-system", Outcomes: unheard{},
		Tokens:               broker.New(ctx, broker.Options{Clock: clock.RealClock{}, Providers: map[string]providers.Provider{"ecr": w.cloud}}),
		AllowAmbientIdentity: true, Wake: w.agenda.wake,
	})
	for _, t := range w.targets {
		w.agenda.add(t, time.Now())
	}
}

// restart ends the process, with whatever calls are under way, and starts another.
func (w *world) restart() {
	w.stop()
	synctest.Wait()
	w.restarts++
	w.start()
}

// run lets so much time pass. The controllers look at each target every 30 minutes at the latest; here nobody does, so that a target must come
// back at the time that it says itself.
func (w *world) run(lifetime time.Duration) {
	end := w.began.Add(lifetime)
	ends := w.began.Add(24*time.Hour + part(w.chance, 60*24*time.Hour))
	for {
		t, ok := w.agenda.next(end)
		if !ok {
			break
		}
		if time.Now().After(ends) {
			w.restart()
			ends = time.Now().Add(part(w.chance, 60*24*time.Hour))
		}
		result, err := w.controller.Reconcile(w.Context(), t)
		switch {
		case err != nil:
			w.agenda.failed(t)
		case result.RequeueAfter > 0:
			w.agenda.failures[t] = 0
			w.agenda.add(t, time.Now().Add(result.RequeueAfter))
		default:
			w.wrong = append(w.wrong, fmt.Sprintf("%v is never looked at again", t))
		}
	}
	w.stop()
	synctest.Wait()
}

// wrote looks at a write, and has its event bring the target back.
func (w *world) wrote(before, after *corev1.Secret) {
	w.writes++
	if t, ok := credential.TargetOf(after); ok {
		w.agenda.wake(t, 0)
	}
	had, has := passwords(before), passwords(after)
	for host, password := range had {
		old, young := mintOf(password), mintOf(has[host])
		w.expire(after, host, old)
		switch {
		case has[host] == "":
			w.wrong = append(w.wrong, fmt.Sprintf("the login for %s was taken out of %s", host, after.Name))
		case young.source == old.source && young.serial < old.serial:
			w.wrong = append(w.wrong, fmt.Sprintf("a token for %s gave way to an older one in %s", host, after.Name))
		}
	}
	for host, password := range has {
		if !w.cloud.issued(mintOf(password)) {
			w.wrong = append(w.wrong, fmt.Sprintf("what %s got for %s was never issued", after.Name, host))
		}
	}
}

// expire counts for how long a token has been dead that is still there.
func (w *world) expire(secret *corev1.Secret, host string, m mint) {
	if dead := time.Since(m.dies); dead > 0 {
		w.expired += dead
		w.wrong = append(w.wrong, fmt.Sprintf("on day %.2f, the token for %s in %s had been dead for %s", time.Since(w.began).Hours()/24, host, secret.Name, dead))
	}
}

// judge says what was wrong.
func (w *world) judge() {
	for _, t := range w.targets {
		secret := w.cluster.secrets[client.ObjectKey{Namespace: t.Namespace, Name: t.Name}]
		found := passwords(secret)
		if len(found) == 0 {
			w.wrong = append(w.wrong, fmt.Sprintf("%v has no Secret", t))
		}
		for host, password := range found {
			w.expire(secret, host, mintOf(password))
		}
	}
	w.wrong = append(w.wrong, w.cloud.excess(time.Since(w.began), w.restarts)...)
	w.Logf("%d targets, %d writes, %d calls, %d restarts, %s with an expired token", len(w.targets), w.writes, w.cloud.total(), w.restarts, w.expired)
	if len(w.wrong) > 0 {
		w.Errorf("%d times something is wrong:\n%s", len(w.wrong), strings.Join(w.wrong[:min(len(w.wrong), 10)], "\n"))
	}
}

// unheard takes outcomes that nobody reads.
type unheard struct{}

func (unheard) Linked(credential.Key, link.Changes)                              {}
func (unheard) Report(*credential.Credential, credential.Target, target.Outcome) {}
func (unheard) Forget(credential.Target)                                         {}
func (unheard) Failure(credential.Target, string) *credential.Failure            { return nil }
