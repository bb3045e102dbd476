package monitoring

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/lab"
)

// tokenLife is long enough for an alert to fire between three quarters of it and its end.
const tokenLife = 32 * time.Second

// world is a lab with two replicas of the controller and a Prometheus that watches them.
type world struct {
	*prometheus
	*lab.Lab
	controllers []*lab.Controller
	log         *bytes.Buffer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	cluster, err := lab.Start(t.Context(), controlplane.Options{}, cloud.Options{TokenLife: tokenLife})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Lab: cluster, log: &bytes.Buffer{}}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("the controllers said:\n%s", w.log)
		}
	})
	log := &lockedWriter{to: w.log}
	var metrics []string
	for range 2 {
		c, err := cluster.StartController(t.Context(), log)
		if err != nil {
			t.Fatal(err)
		}
		w.controllers = append(w.controllers, c)
		metrics = append(metrics, c.Metrics)
	}
	w.prometheus = startPrometheus(t, rules(t), metrics...)
	return w
}

// lockedWriter takes the logs of two programs.
type lockedWriter struct {
	mu sync.Mutex
	to io.Writer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}

func (w *world) create(objects ...client.Object) {
	w.Helper()
	for _, o := range objects {
		if err := w.Client.Create(w.Context(), o); err != nil {
			w.Fatal(err)
		}
	}
}

// credential creates a cluster-wide credential for namespaces of its own, and the namespaces. It takes its token from the region.
func (w *world) credential(name, region string, namespaces int, change func(*v1alpha1.Registry)) {
	w.Helper()
	for i := range namespaces {
		w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", name, i), Labels: map[string]string{"team": name}}})
	}
	c := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: name}}
	c.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{"team": v1alpha1.LabelValue(name)}
	c.Spec.Registries = []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: region}}}
	if change != nil {
		change(&c.Spec.Registries[0])
	}
	w.create(c)
}

// linkEverybody links all ServiceAccounts to a credential.
func (w *world) linkEverybody(name string) {
	w.Helper()
	c := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := w.Client.Patch(w.Context(), c, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"serviceAccounts":{"selector":{}}}}`))); err != nil {
		w.Fatal(err)
	}
}

// again does something again and again, until the returned function is called.
func (w *world) again(do func(ctx context.Context, n int)) (stop func()) {
	ctx, cancel := context.WithCancel(w.Context())
	var doer sync.WaitGroup
	doer.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				do(ctx, n)
			}
		}
	})
	return func() {
		cancel()
		doer.Wait()
	}
}

// edit changes an object of somebody else's.
func (w *world) edit(ctx context.Context, o client.Object, patch string) {
	_ = w.Client.Patch(ctx, o, client.RawPatch("application/merge-patch+json", []byte(patch)))
}

// failPull has the kubelet say that a new pod cannot pull from a registry that no credential covers.
func (w *world) failPull(ctx context.Context, namespace string, n int) {
	const image = "uncovered.example/app:v1"
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("app-%d", n)}}
	pod.Spec.Containers = []corev1.Container{{Name: "app", Image: image}}
	if w.Client.Create(ctx, pod) != nil {
		return // the test ends
	}
	_ = w.Client.Create(ctx, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: namespace, GenerateName: pod.Name + "."},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: namespace, Name: pod.Name, UID: pod.UID, FieldPath: "spec.containers{app}"},
		Reason:         "Failed", Type: corev1.EventTypeWarning, Source: corev1.EventSource{Component: "kubelet", Host: "node-1"},
		Message:        fmt.Sprintf("Failed to pull image %q: failed to authorize: unexpected status: 401 Unauthorized", image),
		FirstTimestamp: metav1.Now(), LastTimestamp: metav1.Now(), Count: 1,
	})
}

// fired are the alerts that have fired since, and for whom. Of the absence of replicas only the present counts: in this hurry a few scrapes
// that are late on a busy machine are an absence.
func (w *world) fired(since time.Time) map[string][]string {
	w.Helper()
	return w.alerts(fmt.Sprintf(`max by (alertname, credential, provider) (max_over_time(ALERTS{alertname!="RegcredAbsent",alertstate="firing"}[%dms]))`, time.Since(since).Milliseconds()))
}

// firing are the alerts of this moment.
func (w *world) firing() map[string][]string {
	w.Helper()
	return w.alerts(`max by (alertname, credential, provider) (ALERTS{alertstate="firing"})`)
}

func (w *world) alerts(expr string) map[string][]string {
	w.Helper()
	all := map[string][]string{}
	for _, s := range w.query(expr) {
		alert := s.labels["alertname"]
		all[alert] = append(all[alert], s.labels["credential"]+s.labels["provider"])
		slices.Sort(all[alert])
	}
	return all
}

// wait waits until the alerts are just these.
func (w *world) wait(what string, alerts func() map[string][]string, want map[string][]string) {
	w.Helper()
	w.until(what, func() (bool, string) {
		diff := cmp.Diff(want, alerts())
		return diff == "", "wanted (-), got (+):\n" + diff
	})
}

// unspaced is how many ServiceAccounts are edited in turn, each so rarely that the controller does not wait before it puts a link back: the
// alerts' time is shortened here, and that wait is not.
const unspaced = 24

func TestEveryAlertFiresInTheFaultThatItIsForAndEveryPanelHasData(t *testing.T) {
	w := newWorld(t)
	w.credential("fine", "eu-west-1", 2, nil)
	w.credential("fought", "eu-west-2", 1, nil)
	w.linkEverybody("fought")
	w.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "fine-0", Name: "default"}})
	var accounts []*corev1.ServiceAccount
	for n := range unspaced {
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "fought-0", Name: fmt.Sprintf("app-%d", n)}}
		w.create(account)
		accounts = append(accounts, account)
	}
	w.credential("tried", "eu-west-3", 1, func(r *v1alpha1.Registry) { r.Verify = &v1alpha1.Verify{Repository: "team/app"} })
	w.until("all credentials are ready", func() (bool, string) {
		ready := w.query("sum(max by (credential) (regcred_credential_ready)) == 3")
		return len(ready) == 1, fmt.Sprint(w.query("regcred_credential_ready"))
	})
	w.typesAreAsDocumented()
	refresh := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"regcred.dev/refresh-requested-at":"now"}}}`))
	for _, name := range []string{"fine", "fought", "tried"} {
		c := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := w.Client.Patch(t.Context(), c, refresh); err != nil {
			t.Fatal(err)
		}
	}
	w.until("four Secrets have new tokens", func() (bool, string) {
		return len(w.query(`sum(regcred_rotations_total{cause="RefreshRequested"}) == 4`)) == 1, fmt.Sprint(w.query("regcred_rotations_total > 0"))
	})
	// Prometheus looks for the replicas some seconds after its own start, and misses them until then.
	w.wait("a world without an alert", w.firing, map[string][]string{})
	start := time.Now()
	fired := func() map[string][]string { return w.fired(start) }

	// All faults at once: what one alert is for must not set off another. A foreign Secret is met where a token is to be written.
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "conflict-0", Labels: map[string]string{"team": "conflict"}}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "conflict-0", Name: "conflict"}})
	w.credential("conflict", "us-east-1", 0, nil)
	w.credential("behind", "us-east-2", 1, func(r *v1alpha1.Registry) {
		r.Identity = &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: "missing"}}
	})
	w.until("the conflict is met", func() (bool, string) {
		return len(w.query(`regcred_targets_failed{credential="conflict"} == 1`)) == 1, fmt.Sprint(w.query("regcred_targets_failed"))
	})
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: lab.Namespace, Name: "break-glass", Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}},
		StringData: map[string]string{"username": "hand", "password": "canary-by-hand"},
	})
	w.credential("byhand", "us-west-1", 1, func(r *v1alpha1.Registry) {
		r.ECR.Accounts = []string{"123456789012"}
		r.Override = &v1alpha1.Override{SecretRef: v1alpha1.LocalReference{Name: "break-glass"}, Until: metav1.NewTime(time.Now().Add(6 * time.Hour))}
	})
	w.AWS.ECR.Set(cloud.Fault{Outage: cloud.OutageServerError})
	stop := w.again(func(ctx context.Context, n int) {
		w.edit(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "fought-0", Name: "fought"}}, `{"data":{".dockerconfigjson":"e30="}}`)
		w.edit(ctx, accounts[n%unspaced], `{"imagePullSecrets":null}`)
		w.failPull(ctx, "fine-0", n)
	})
	for _, alert := range []string{"RegcredSecretContended", "RegcredLinksContended", "RegcredPullsFailing"} {
		w.until(alert, func() (bool, string) {
			return fired()[alert] != nil, fmt.Sprint(w.query("regcred_repairs_total > 0 or regcred_links_total > 0 or regcred_pull_failures_total"))
		})
	}
	stop()
	faults := map[string][]string{
		"RegcredTokenNotRotating": {"fine", "fought", "tried"},
		"RegcredTokenExpired":     {"fine", "fought", "tried"},
		"RegcredProviderFailing":  {"ecr"},
		"RegcredSecretConflict":   {"conflict"},
		"RegcredTargetsBehind":    {"behind", "fought"}, // what is fought for is repaired ever more rarely
		"RegcredSecretContended":  {"fought"},
		"RegcredLinksContended":   {"fought"},
		"RegcredPullsFailing":     {"fine"},
		"RegcredOverridden":       {"byhand"},
	}
	w.wait("the alerts of the faults", fired, faults)
	w.everyPanelHasData()

	w.AWS.ECR.Reset()
	w.wait("the end of what the cloud's outage set off", w.firing, map[string][]string{
		"RegcredSecretConflict": {"conflict"},
		"RegcredTargetsBehind":  {"behind"},
		"RegcredOverridden":     {"byhand"},
	})
	for _, c := range w.controllers {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	}
	w.wait("the absence of all replicas, and of what they said", w.firing, map[string][]string{"RegcredAbsent": {""}})
	if diff := cmp.Diff(faults, fired()); diff != "" {
		t.Errorf("all alerts, wanted (-), fired (+):\n%s", diff)
	}
	faults["RegcredAbsent"] = []string{""}
	if got := slices.Sorted(maps.Keys(faults)); len(got) != len(rules(t).alerts()) {
		t.Errorf("there are other alerts than those tested: %v", got)
	}
}

// variables are what Grafana puts into queries; as many seconds in the place of a rate interval as it takes for four samples.
var variables = strings.NewReplacer("$__rate_interval", "5s", "$__range", "60s", "$kind", ".*", "$credential", ".*", "$cluster", ".*")

func (w *world) everyPanelHasData() {
	w.Helper()
	panels := 0
	for _, p := range board(w.T).Panels {
		for _, target := range p.Targets {
			panels++
			expr := variables.Replace(target.Expr)
			if strings.Contains(expr, "$") {
				w.Errorf("%s: what is put into %s?", p.Title, expr)
				continue
			}
			w.until("data for the panel "+p.Title, func() (bool, string) {
				return len(w.query(expr)) > 0, "nothing from " + expr
			})
		}
	}
	if panels < 25 {
		w.Errorf("asked %d queries only", panels)
	}
}

// typesAreAsDocumented holds docs/metrics.md, which tells types by names, against what the working replica says.
func (w *world) typesAreAsDocumented() {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), http.MethodGet, w.controllers[0].Metrics, http.NoBody)
	if err != nil {
		w.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		w.Fatal(err)
	}
	known, found := knownMetrics(w.T), 0
	for _, line := range regexp.MustCompile(`(?m)^# TYPE (regcred_\w+) (\w+)$`).FindAllStringSubmatch(string(raw), -1) {
		found++
		if known[line[1]] != line[2] {
			w.Errorf("%s is a %s, and a %q in docs/metrics.md", line[1], line[2], known[line[1]])
		}
	}
	if found < 12 {
		w.Errorf("the controller shows %d metrics of its own only", found)
	}
}
