package chart

import (
	"net/http"
	"strings"
	"testing"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestKubernetesRolesHoldOurs binds Kubernetes' own roles in one namespace, and the ones that stand by themselves.
func TestKubernetesRolesHoldOurs(t *testing.T) {
	installCRDs(t)
	namespace(t, "roles", nil)
	install(t, "regcred-system", "--skip-crds", "--set", "rbac.auditorRole=true")
	clients, err := kubernetes.NewForConfig(world.Config)
	must(t, err)
	credentials := func(verb string) right { return right{verb, "regcred.dev", "registrycredentials", ""} }
	shared := func(verb string) right { return right{verb, "regcred.dev", "clusterregistrycredentials", ""} }
	ambient := right{"use", "regcred.dev", "identities", "ambient"}
	for _, c := range []struct {
		role     string
		may, not []right
	}{
		{"view", []right{credentials("get"), credentials("list"), credentials("watch")}, []right{credentials("create"), credentials("delete"), shared("get"), ambient}},
		{"edit", []right{credentials("get"), credentials("create"), credentials("patch"), credentials("delete")}, []right{shared("create"), ambient, {"patch", "regcred.dev", "registrycredentials/status", ""}}},
		{"admin", []right{credentials("get"), credentials("update"), credentials("deletecollection")}, []right{shared("create"), ambient}},
		{"regcred-ambient-identity-user", []right{ambient}, []right{credentials("create"), {"use", "regcred.dev", "identities", "other"}}},
		{"regcred-viewer", []right{credentials("list"), {"list", "", "pods", ""}}, []right{{"get", "", "secrets", ""}, {"list", "", "secrets", ""}, credentials("create")}},
		{"regcred-auditor", []right{{"get", "", "secrets", ""}, {"list", "", "secrets", ""}}, []right{{"watch", "", "secrets", ""}, {"patch", "", "secrets", ""}, {"list", "", "pods", ""}}},
		{"regcred-cluster-reader", []right{shared("get"), shared("list")}, []right{shared("update"), credentials("get")}},
	} {
		user := "system:serviceaccount:roles:" + c.role
		must(t, world.Client.Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: "roles", Name: c.role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: c.role},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "roles", Name: c.role}},
		}))
		for _, r := range c.may {
			eventually(t, c.role+" to "+r.String(), func() (bool, error) { return may(t.Context(), clients, user, "roles", r) })
		}
		for _, r := range c.not {
			if allowed, err := may(t.Context(), clients, user, "roles", r); err != nil || allowed {
				t.Errorf("%s may %s: %v", c.role, r, err)
			}
		}
	}
}

// TestNobodyReadsSecretsByDefault: the right to read every Secret is there for those who ask for it.
func TestNobodyReadsSecretsByDefault(t *testing.T) {
	for value, want := range map[string]bool{"false": false, "true": true} {
		if got := strings.Contains(render(t, "--set", "rbac.auditorRole="+value), "name: regcred-auditor\n"); got != want {
			t.Errorf("rbac.auditorRole=%s: the role is there: %t", value, got)
		}
	}
	if strings.Contains(render(t), "auditor") {
		t.Error("the role is there by default")
	}
}

// TestTheControllersRequestsHaveTheirPlace asks the API server by which FlowSchema it has taken a request.
func TestTheControllersRequestsHaveTheirPlace(t *testing.T) {
	installCRDs(t)
	install(t, "regcred-system", "--skip-crds")
	cfg, _, err := world.AddUser(user, []string{"system:serviceaccounts", "system:serviceaccounts:regcred-system", "system:authenticated"})
	must(t, err)
	transport, err := rest.HTTPClientFor(cfg)
	must(t, err)
	for path, want := range map[string]string{
		"/apis/coordination.k8s.io/v1/namespaces/regcred-system/leases/regcred.regcred.dev": "regcred-lease",
		"/api/v1/namespaces": "regcred",
		"/apis/regcred.dev/v1alpha1/clusterregistrycredentials": "regcred",
	} {
		schema := &flowcontrolv1.FlowSchema{}
		must(t, world.Client.Get(t.Context(), client.ObjectKey{Name: want}, schema))
		eventually(t, path+" by "+want, func() (bool, error) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, cfg.Host+path, http.NoBody)
			must(t, err)
			res, err := transport.Do(req)
			if err != nil {
				return false, err
			}
			defer res.Body.Close()
			return res.Header.Get(flowcontrolv1.ResponseHeaderMatchedFlowSchemaUID) == string(schema.UID), nil
		})
	}
}
