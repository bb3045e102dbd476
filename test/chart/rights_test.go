package chart

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
)

// verbs are all that mean something to some resource, and some that may one day.
var verbs = []string{
	"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection",
	"impersonate", "bind", "escalate", "use", "approve", "sign", "attest", "request-serviceaccounts-token-audience", "*",
}

// right is what a ServiceAccount may do; name is "" for any.
type right struct{ verb, group, resource, name string }

func (r right) String() string {
	resource := strings.TrimSuffix(r.resource+"."+r.group, ".")
	return strings.TrimSpace(r.verb + " " + resource + " " + r.name)
}

// The rights of the modes are written down here by hand on purpose: a right that is added to the code needs a second thought.
var (
	clusterScoped = []string{
		"list clusterregistrycredentials.regcred.dev", "list namespaces", "patch clusterregistrycredentials/status.regcred.dev",
		"watch clusterregistrycredentials.regcred.dev", "watch namespaces",
	}
	everySecret = []string{"create secrets", "delete secrets", "get secrets", "list secrets", "patch secrets", "update secrets", "watch secrets"}
	oneSecret   = []string{"create secrets", "delete secrets regcred", "get secrets regcred", "list secrets regcred", "patch secrets regcred", "update secrets regcred", "watch secrets regcred"}
	served      = []string{
		"create events.events.k8s.io", "create serviceaccounts/token", "get pods", "list events",
		"list registrycredentials.regcred.dev", "list serviceaccounts",
		"patch events.events.k8s.io", "patch registrycredentials/status.regcred.dev", "patch serviceaccounts",
		"watch events", "watch registrycredentials.regcred.dev", "watch serviceaccounts",
	}
	evict   = []string{"create pods/eviction"}
	metrics = []string{"create subjectaccessreviews.authorization.k8s.io", "create tokenreviews.authentication.k8s.io"}
	leader  = []string{
		"create events", "create leases.coordination.k8s.io", "get leases.coordination.k8s.io", "patch events", "update leases.coordination.k8s.io",
	}
)

// undiagnosed is served, without what failed pulls are diagnosed by.
func undiagnosed() []string {
	return slices.DeleteFunc(slices.Clone(served), func(r string) bool { return slices.Contains([]string{"get pods", "list events", "watch events"}, r) })
}

func TestTheControllerHasTheRightsOfItsModeAndNoOthers(t *testing.T) {
	// What Kubernetes gives to every ServiceAccount, such as to ask for its own rights.
	everybody := rightsOf(t, "system:serviceaccount:default:default", "")
	if len(everybody) == 0 || len(everybody) > 10 {
		t.Fatalf("every ServiceAccount may %q", everybody)
	}
	for _, mode := range []struct {
		name   string
		values []string
		// everywhere, in the namespace that is watched and in the controller's own.
		everywhere, watched []string
	}{
		{"rights-cluster", nil, slices.Concat(clusterScoped, everySecret, served, metrics), nil},
		{"rights-plain-metrics", []string{"metrics.secure=false"}, slices.Concat(clusterScoped, everySecret, served), nil},
		{"rights-recovery", []string{"recoverPods=true"}, slices.Concat(clusterScoped, everySecret, served, metrics, evict), nil},
		{"rights-no-diagnosis", []string{"diagnosePulls=false"}, slices.Concat(clusterScoped, everySecret, undiagnosed(), metrics), nil},
		{"rights-secrets", []string{"secretNames={regcred}"}, slices.Concat(clusterScoped, oneSecret, served, metrics), nil},
		{"rights-namespaces", []string{"watchNamespaces={rights-watched}", "metrics.secure=false"}, nil, slices.Concat(everySecret, served)},
		{"rights-both", []string{"watchNamespaces={rights-watched}", "metrics.secure=false", "secretNames={regcred}"}, nil, slices.Concat(oneSecret, served)},
	} {
		t.Run(mode.name, func(t *testing.T) {
			for _, ns := range []string{mode.name, "rights-watched", "rights-foreign"} {
				namespace(t, ns, nil)
			}
			args := []string{"--skip-crds", "--set", "policies.enabled=false,rbac.userRoles=false"}
			if len(mode.values) > 0 {
				args = append(args, "--set", strings.Join(mode.values, ","))
			}
			install(t, mode.name, args...)
			user := "system:serviceaccount:" + mode.name + ":regcred"
			awaitRight(t, user, mode.name, right{verb: "update", group: "coordination.k8s.io", resource: "leases"})
			for _, place := range []struct {
				namespace string
				want      []string
			}{
				{"", slices.Concat(everybody, mode.everywhere)},
				{"rights-foreign", slices.Concat(everybody, mode.everywhere)},
				{"rights-watched", slices.Concat(everybody, mode.everywhere, mode.watched)},
				{mode.name, slices.Concat(everybody, mode.everywhere, leader)},
			} {
				want := slices.Sorted(slices.Values(place.want))
				if diff := cmp.Diff(want, rightsOf(t, user, place.namespace)); diff != "" {
					t.Errorf("in namespace %q (-want +got):\n%s", place.namespace, diff)
				}
			}
		})
	}
}

// TestTheHookMayUnlinkAndNothingElse creates what Helm creates after the release is gone, but for the Job.
func TestTheHookMayUnlinkAndNothingElse(t *testing.T) {
	everybody := rightsOf(t, "system:serviceaccount:default:default", "")
	unlink := []string{"list serviceaccounts", "patch serviceaccounts"}
	for _, mode := range []struct {
		name, values        string
		everywhere, watched []string
	}{
		{"unlink-cluster", "", unlink, nil},
		{"unlink-namespaces", "watchNamespaces={rights-watched},metrics.secure=false", nil, unlink},
	} {
		t.Run(mode.name, func(t *testing.T) {
			for _, ns := range []string{mode.name, "rights-watched"} {
				namespace(t, ns, nil)
			}
			for _, o := range documents(t, mustHelm(t, "template", "regcred", "charts/regcred", "--namespace", mode.name, "--set", mode.values,
				"--show-only", "templates/uninstall.yaml")) {
				if o.GetKind() != "Job" {
					create(t, o)
				}
			}
			user := "system:serviceaccount:" + mode.name + ":regcred-uninstall"
			awaitRight(t, user, "rights-watched", right{verb: "patch", resource: "serviceaccounts"})
			for place, more := range map[string][]string{"": nil, mode.name: nil, "rights-watched": mode.watched} {
				want := slices.Sorted(slices.Values(slices.Concat(everybody, mode.everywhere, more)))
				if diff := cmp.Diff(want, rightsOf(t, user, place)); diff != "" {
					t.Errorf("in namespace %q (-want +got):\n%s", place, diff)
				}
			}
		})
	}
}

// awaitRight waits until the API server has noticed the rules.
func awaitRight(t *testing.T, user, namespace string, r right) {
	t.Helper()
	clients, err := kubernetes.NewForConfig(world.Config)
	must(t, err)
	eventually(t, r.String(), func() (bool, error) { return may(t.Context(), clients, user, namespace, r) })
}

// rightsOf asks the API server for every verb on every resource that it serves.
func rightsOf(t *testing.T, user, namespace string) []string {
	t.Helper()
	clients, err := kubernetes.NewForConfig(world.Config)
	must(t, err)
	asked := questions(t)
	if len(asked) < 1500 {
		t.Fatalf("%d questions only", len(asked))
	}
	answers := make([]bool, len(asked))
	failures := make([]error, len(asked))
	var wg sync.WaitGroup
	const parallel = 16
	for first := range parallel {
		wg.Go(func() {
			for i := first; i < len(asked); i += parallel {
				answers[i], failures[i] = may(t.Context(), clients, user, namespace, asked[i])
			}
		})
	}
	wg.Wait()
	var rights []string
	for i, r := range asked {
		must(t, failures[i])
		general := right{r.verb, r.group, r.resource, ""}.String()
		if answers[i] && (r.name == "" || !slices.Contains(rights, general)) {
			rights = append(rights, r.String())
		}
	}
	slices.Sort(rights)
	return rights
}

func may(ctx context.Context, clients kubernetes.Interface, user, namespace string, r right) (bool, error) {
	resource, subresource, _ := strings.Cut(r.resource, "/")
	parts := strings.Split(user, ":")
	review, err := clients.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user, Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + parts[2], "system:authenticated"},
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: r.verb, Group: r.group, Resource: resource, Subresource: subresource, Name: r.name,
			},
		},
	}, createOptions)
	if err != nil {
		return false, fmt.Errorf("%s: %w", r, err)
	}
	return review.Status.Allowed, nil
}

// questions are every verb on every resource and subresource, and on all at once. Secrets are asked for by name, too.
func questions(t *testing.T) []right {
	t.Helper()
	client, err := discovery.NewDiscoveryClientForConfig(world.Config)
	must(t, err)
	_, lists, err := client.ServerGroupsAndResources()
	must(t, err)
	resources := map[right]struct{}{
		{group: "*", resource: "*"}: {}, {group: "", resource: "users"}: {}, {group: "", resource: "groups"}: {},
		{group: "regcred.dev", resource: "identities"}: {}, {group: "authentication.k8s.io", resource: "userextras"}: {},
	}
	for _, ours := range []string{"registrycredentials", "clusterregistrycredentials"} {
		resources[right{group: "regcred.dev", resource: ours}] = struct{}{}
		resources[right{group: "regcred.dev", resource: ours + "/status"}] = struct{}{}
	}
	for _, list := range lists {
		group, _, versioned := strings.Cut(list.GroupVersion, "/")
		if !versioned {
			group = ""
		}
		for _, r := range list.APIResources {
			resources[right{group: group, resource: r.Name}] = struct{}{}
		}
	}
	var asked, named []right
	for r := range resources {
		for _, verb := range verbs {
			asked = append(asked, right{verb, r.group, r.resource, ""})
			if r.resource == "secrets" {
				named = append(named, right{verb, r.group, r.resource, "regcred"}, right{verb, r.group, r.resource, "foreign"})
			}
		}
	}
	return append(asked, named...)
}
