package tenants

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/lab"
)

const (
	region  = "eu-west-1"
	ecrHost = cloud.DefaultAccount + ".dkr.ecr." + region + ".amazonaws.com"
	// platform is the cluster's credential, which serves the namespaces with the label; good is that of a neighbour with its own identity.
	platform, good = "platform", "good"
	controllerUser = "system:serviceaccount:" + lab.Namespace + ":regcred"
)

var selected = map[string]string{"pull": platform}

// stage is the neighbours, and what they had before somebody did something.
type stage struct {
	// members are served by the cluster's credential; neighbour has a credential of its own.
	members   []*tenant
	neighbour *tenant
	platform  cloud.User
	audit     *controlplane.AuditReader
	// tenants and newcomers are how many there were so far.
	tenants, newcomers int
	// calm is how long a newcomer waits beside no abuse.
	calm time.Duration
}

// setStage is called once: whatever tests do to them, the neighbours stay what they are.
func setStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{platform: cloud.User{
		Account: cloud.DefaultAccount, Name: platform, AccessKeyID: "AKIAPLATFORM00000000", SecretAccessKey: cloud.CanarySTS + platform,
		MayGetToken: true, Pull: []string{"*"},
	}}
	world.AWS.AddUser(s.platform)
	home := &tenant{T: t, ns: lab.Namespace, edit: world.Client, admin: world.Client, user: s.platform}
	home.keyed("ecr-key")
	hubToken := world.DockerHub.AddUser(cloud.HubUser{Name: "acme", Pull: []string{"acme/*"}})
	home.identity("hub", map[string]string{"username": "acme", "password": hubToken})
	c := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: platform}}
	c.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{"pull": platform}
	c.Spec.Registries = []v1alpha1.Registry{ecr(secretRef("ecr-key")), static("docker.io", "hub")}
	c.Spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Names: []string{"default"}}
	home.create(c)
	for _, name := range []string{"member-1", "member-2"} {
		s.members = append(s.members, newTenant(t, name, selected))
	}
	s.neighbour = newTenant(t, "neighbour", nil)
	s.neighbour.keyed("key")
	s.neighbour.identity("hub", map[string]string{"username": "acme", "password": hubToken})
	s.neighbour.create(s.neighbour.credential(good, ecr(secretRef("key")), static("docker.io", "hub")))
	s.neighbour.pulls(good)
	for _, m := range s.members {
		m.pulls(platform)
	}
	var err error
	s.audit, err = world.FollowAudit()
	s.neighbour.must(err)
	s.settled(t)
	s.welcomes(t)
	s.settled(t)
	return s
}

// possessions are what is not the abuser's: versions of objects, what statuses say, and what the clouds have given to the cluster's identity.
type possessions struct {
	things map[string]string
	mints  int
}

func (s *stage) before(t *testing.T) possessions {
	t.Helper()
	p := map[string]string{}
	put := func(o client.Object, ns, name string) {
		if err := world.Client.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: name}, o); err != nil {
			t.Errorf("%s/%s: %v", ns, name, err)
			return
		}
		p[fmt.Sprintf("version of %T %s/%s", o, ns, name)] = string(o.GetUID()) + " " + o.GetResourceVersion()
	}
	for _, m := range s.members {
		put(&corev1.Secret{}, m.ns, platform)
		put(&corev1.ServiceAccount{}, m.ns, "default")
	}
	put(&corev1.Secret{}, s.neighbour.ns, good)
	put(&corev1.ServiceAccount{}, s.neighbour.ns, "default")
	put(&v1alpha1.RegistryCredential{}, s.neighbour.ns, good)
	shared := sharedStatus(t)
	for i := range shared.Registries {
		shared.Registries[i].RefreshAt = nil // the first of all targets, which come and go
	}
	registries, err := json.Marshal(shared.Registries)
	if err != nil {
		t.Fatal(err)
	}
	p["registries of the cluster's credential"] = string(registries)
	p["Ready of the cluster's credential"] = "not there"
	if ready := meta.FindStatusCondition(shared.Conditions, v1alpha1.ConditionReady); ready != nil {
		p["Ready of the cluster's credential"] = string(ready.Status)
	}
	p["mints for the neighbour"] = fmt.Sprint(mints(s.neighbour.user))
	return possessions{p, mints(s.platform)}
}

func sharedStatus(t *testing.T) *v1alpha1.ClusterCredentialStatus {
	t.Helper()
	c := &v1alpha1.ClusterRegistryCredential{}
	if err := world.Client.Get(t.Context(), client.ObjectKey{Name: platform}, c); err != nil {
		t.Fatal(err)
	}
	return &c.Status
}

// mints is how many tokens ECR has issued to a user.
func mints(user cloud.User) int {
	n := 0
	for _, token := range world.AWS.Tokens() {
		if token.Principal == user.ARN() {
			n++
		}
	}
	return n
}

// quiet is how long nothing must happen for the controller to be at rest, and calmly how much is nothing all the same.
const (
	quiet  = 1500 * time.Millisecond
	calmly = 3
)

// settled waits until the controller has come to rest and returns what it has asked of the API server till then, by namespace: writes
// alone, and status and events apart. A loop never comes to rest.
func (s *stage) settled(t *testing.T) map[string]int {
	t.Helper()
	writes := map[string]int{}
	for start := time.Now(); time.Since(start) < patience; {
		waitFor(t, quiet)
		recent := s.written(t)
		total := 0
		for ns, n := range recent {
			writes[ns] += n
			total += n
		}
		if total <= calmly {
			return writes
		}
	}
	t.Errorf("the controller does not come to rest: its writes by namespace are %v", writes)
	return writes
}

// written is what the controller has written since the last call, by namespace.
func (s *stage) written(t *testing.T) map[string]int {
	t.Helper()
	requests, err := s.audit.Next()
	if err != nil {
		t.Fatal(err)
	}
	writes, kinds := map[string]int{}, map[string]int{}
	for _, r := range requests {
		write := slices.Contains([]string{"create", "update", "patch", "delete"}, r.Verb)
		if r.User == controllerUser && write && r.Subresource == "" && r.Resource != "events" && r.Resource != "leases" {
			writes[cmp.Or(r.Namespace, "(cluster)")]++
			kinds[fmt.Sprintf("%s %s: %d", r.Verb, r.Resource, r.Code)]++
		}
	}
	if len(writes) > 0 {
		t.Logf("the controller has written: %v", kinds)
	}
	return writes
}

// waitFor lets a window of real time pass, in which nothing is to happen.
func waitFor(t *testing.T, window time.Duration) {
	t.Helper()
	timer := time.NewTimer(window)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

// unchanged compares what the neighbours have now. The cluster's identity may have been called for a few times.
func (p possessions) unchanged(t *testing.T, now possessions, mints int) {
	t.Helper()
	for what, before := range p.things {
		if after := now.things[what]; after != before {
			t.Errorf("%s was %s, and is %s", what, before, after)
		}
	}
	if more := now.mints - p.mints; more > 0 {
		t.Logf("the shared identity was called for %d times", more)
	}
	if more := now.mints - p.mints; more > mints {
		t.Errorf("the shared identity was called for %d times, want %d at most", more, mints)
	}
}

// heap is what is reachable in the controller.
func heap(t *testing.T) int64 {
	t.Helper()
	bytes, err := controller.Heap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// grown is by how much the heap is larger than it was: the least of several looks if that is above the bound, since what is on its way at one
// moment is gone at the next, and what is held stays.
func grown(t *testing.T, empty, bound int64) int64 {
	t.Helper()
	least := heap(t) - empty
	within(t.Context(), time.Minute, func() bool {
		if least > bound {
			least = min(least, heap(t)-empty)
		}
		return least <= bound
	})
	return least
}

// profile writes down what the controller's memory holds.
func profile(t *testing.T, tenant int, when string) (path string) {
	t.Helper()
	path = filepath.Join(world.Root, "bin", fmt.Sprintf("tenants-%d-%s.pprof", tenant, when))
	if err := controller.Profile(t.Context(), path); err != nil {
		t.Error(err)
	}
	return path
}

func mebibytes(bytes int64) string {
	return strings.TrimSpace(fmt.Sprintf("%6.2f MiB", float64(bytes)/(1<<20)))
}

// mintsOfRole is how many tokens the sessions of a role have got.
func mintsOfRole(name string) int {
	n := 0
	for _, token := range world.AWS.Tokens() {
		if strings.Contains(token.Principal, "/"+name+"/") {
			n++
		}
	}
	return n
}
