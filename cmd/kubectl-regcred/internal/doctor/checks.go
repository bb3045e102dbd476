package doctor

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// ours is the label on everything that Regcred is installed from.
var ours = client.MatchingLabels{"app.kubernetes.io/name": "regcred"}

// doctor looks at one cluster.
type doctor struct {
	k       *cluster.Cluster
	version string
	now     time.Time
	report  *Report

	// server is the API server's time; the zero value if it could not be asked for.
	server time.Time
	home   string
}

// checks are what is looked at, in this order.
var checks = []func(*doctor, context.Context) error{
	(*doctor).clock, (*doctor).definitions, (*doctor).controller, (*doctor).lease, (*doctor).rules, (*doctor).policies, (*doctor).linkPolicies,
	(*doctor).identity, (*doctor).credentials,
}

// clock asks the API server for its time, and for its version on the way.
func (d *doctor) clock(ctx context.Context) error {
	httpClient, err := rest.HTTPClientFor(d.k.Config)
	if err != nil {
		return err
	}
	base, _, err := rest.DefaultServerUrlFor(d.k.Config)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath("version").String(), http.NoBody)
	if err != nil {
		return err
	}
	res, err := httpClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking the API server: %w", err)
	}
	if err := res.Body.Close(); err != nil {
		return err
	}
	d.report.add("plugin", Note, "%s", d.version)
	d.server, err = http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		d.report.add("clock", NotChecked, "the API server does not say what time it is")
	}
	return nil
}

// definitions are the CustomResourceDefinitions.
func (d *doctor) definitions(ctx context.Context) error {
	for _, name := range []string{"registrycredentials.regcred.dev", "clusterregistrycredentials.regcred.dev"} {
		crd := &unstructured.Unstructured{}
		crd.SetGroupVersionKind(cluster.DefinitionKind)
		there, err := d.k.Read(ctx, "", name, crd)
		switch {
		case err != nil:
			return err
		case there == cluster.Unreadable:
			d.report.unread("CRD "+name, "customresourcedefinitions", "get")
		case there == cluster.Absent:
			d.report.add("CRD "+name, Bad, "it is not installed: helm install regcred-crds, or kubectl apply -f config/crd")
		case !knowsSuspend(crd):
			d.report.add("CRD "+name, Bad, "it is older than this plugin and does not know spec.suspend: helm upgrade does not upgrade CRDs, so apply those of the new version")
		default:
			d.report.add("CRD "+name, Good, "installed")
		}
	}
	return nil
}

// knowsSuspend says whether the schema is of this version or a later one.
func knowsSuspend(crd *unstructured.Unstructured) bool {
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	for _, v := range versions {
		version, _ := v.(map[string]any)
		_, known, _ := unstructured.NestedMap(version, "schema", "openAPIV3Schema", "properties", "spec", "properties", "suspend")
		if known {
			return true
		}
	}
	return false
}

// controller is the Deployment.
func (d *doctor) controller(ctx context.Context) error {
	found := 0
	read, err := cluster.Each(ctx, d.k, &appsv1.DeploymentList{}, "", func(o *appsv1.Deployment) error {
		found++
		d.home = o.Namespace
		state := Good
		if o.Status.ReadyReplicas == 0 {
			state = Bad
		}
		images := []string{}
		for _, c := range o.Spec.Template.Spec.Containers {
			images = append(images, c.Image)
		}
		d.report.add("controller", state, "Deployment %s/%s: %d of %d replicas ready, %s", o.Namespace, o.Name, o.Status.ReadyReplicas, o.Status.Replicas, strings.Join(images, ", "))
		return nil
	}, ours)
	switch {
	case err != nil:
		return err
	case !read:
		d.report.unread("controller", "deployments", "list")
	case found == 0:
		d.report.add("controller", Bad, "there is no Deployment with the label app.kubernetes.io/name=regcred")
	case found > 1:
		d.report.add("controller", Bad, "there are %d of them: two controllers with the same rights work against each other unless they watch different namespaces", found)
	}
	return nil
}

// late is how long a Lease lives without a word of its holder, twice.
const late = 30 * time.Second

// skewed is how far clocks may be apart.
const skewed = 10 * time.Second

// lease is who leads, and whether its clock goes right.
func (d *doctor) lease(ctx context.Context) error {
	found, err := d.k.Leases(ctx)
	if err != nil {
		return err
	}
	if d.k.Missed("leases") {
		d.report.unread("leader", "leases", "list")
		return nil
	}
	if len(found) == 0 {
		d.report.add("leader", Bad, "nobody has ever led: the controller does not run, or runs without --leader-elect")
	}
	for _, l := range found {
		if d.home == "" {
			d.home = l.Namespace
		}
		if l.Spec.HolderIdentity == nil || *l.Spec.HolderIdentity == "" || l.Spec.RenewTime == nil {
			d.report.add("leader", Bad, "nobody holds Lease %s/%s: the controller does not run", l.Namespace, l.Name)
			continue
		}
		ago := d.server.Sub(l.Spec.RenewTime.Time)
		switch {
		case d.server.IsZero():
			d.report.add("leader", Note, "%s", *l.Spec.HolderIdentity)
		case ago > late:
			d.report.add("leader", Bad, "%s said so last %s ago: the controller does not run, or does not reach the API server", *l.Spec.HolderIdentity, output.Span(ago))
		case ago < -skewed:
			d.report.add("leader", Bad, "the clock of %s is %s ahead of the API server's: correct the node's, since tokens seem to expire early", *l.Spec.HolderIdentity, output.Span(-ago))
		default:
			d.report.add("leader", Good, "%s", *l.Spec.HolderIdentity)
		}
	}
	if skew := d.now.Sub(d.server).Abs(); !d.server.IsZero() && skew > skewed {
		d.report.add("clock", Note, "this machine's clock is %s from the API server's: what the plugin says of times is that much wrong", output.Span(skew))
	}
	return nil
}

// rules are those of the controller's ClusterRole.
func (d *doctor) rules(ctx context.Context) error {
	found := false
	read, err := cluster.Each(ctx, d.k, &rbacv1.ClusterRoleList{}, "", func(r *rbacv1.ClusterRole) error {
		if !writesSecrets(r.Rules) {
			return nil // one of the roles for people, or for metrics
		}
		found = true
		if missing := Lacking(r.Rules); len(missing) > 0 {
			d.report.add("rules", Bad, "ClusterRole %s lacks %s: upgrade what Regcred is installed from", r.Name, strings.Join(missing, ", "))
		} else {
			d.report.add("rules", Good, "ClusterRole %s", r.Name)
		}
		return nil
	}, ours)
	switch {
	case err != nil:
		return err
	case !read:
		d.report.unread("rules", "clusterroles", "list")
	case !found:
		d.report.add("rules", Note, "no ClusterRole of the controller: with watchNamespaces it has Roles, which are not checked")
	}
	return nil
}

func writesSecrets(rules []rbacv1.PolicyRule) bool {
	return slices.ContainsFunc(rules, func(r rbacv1.PolicyRule) bool { return includes(r.Resources, "secrets") && includes(r.Verbs, "create") })
}

// policies are the ValidatingAdmissionPolicies that fence the controller.
func (d *doctor) policies(ctx context.Context) error {
	var names []string
	read, err := cluster.Each(ctx, d.k, &admissionv1.ValidatingAdmissionPolicyList{}, "", func(p *admissionv1.ValidatingAdmissionPolicy) error {
		names = append(names, p.Name)
		return nil
	}, ours)
	if err != nil || !read {
		d.report.unread("policies", "validatingadmissionpolicies", "list")
		return err
	}
	if len(names) == 0 {
		d.report.add("policies", Note, "none: nothing but its rules bounds what the controller may write (config/policy, or policies in the chart)")
		return nil
	}
	bound := map[string]bool{}
	read, err = cluster.Each(ctx, d.k, &admissionv1.ValidatingAdmissionPolicyBindingList{}, "", func(b *admissionv1.ValidatingAdmissionPolicyBinding) error {
		bound[b.Spec.PolicyName] = bound[b.Spec.PolicyName] || slices.Contains(b.Spec.ValidationActions, admissionv1.Deny)
		return nil
	})
	if err != nil || !read {
		d.report.unread("policies", "validatingadmissionpolicybindings", "list")
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if bound[name] {
			d.report.add("policy "+name, Good, "bound")
		} else {
			d.report.add("policy "+name, Bad, "no binding lets it deny anything")
		}
	}
	return nil
}

// linkPolicies are the MutatingAdmissionPolicies that link ServiceAccounts.
func (d *doctor) linkPolicies(ctx context.Context) error {
	var names []string
	read, err := cluster.Each(ctx, d.k, &admissionv1.MutatingAdmissionPolicyList{}, "", func(p *admissionv1.MutatingAdmissionPolicy) error {
		names = append(names, p.Name)
		return nil
	}, ours)
	switch {
	case err == cluster.ErrNotInstalled: //nolint:errorlint // it is never wrapped
		d.report.add("link policies", Note, "this API server serves no MutatingAdmissionPolicy (1.36 does): the controller links ServiceAccounts by itself, a moment later")
	case err != nil:
		return err
	case !read:
		d.report.unread("link policies", "mutatingadmissionpolicies", "list")
	case len(names) == 0:
		d.report.add("link policies", Note, "none: the controller links ServiceAccounts by itself, a moment after they are created")
	default:
		d.report.add("link policies", Good, "%s", strings.Join(names, ", "))
	}
	return nil
}

// injected are the variables by which clouds give a pod an identity.
var injected = map[string]string{
	"AWS_ROLE_ARN": "a role of AWS", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "EKS Pod Identity", "AZURE_FEDERATED_TOKEN_FILE": "Azure workload identity",
	"GOOGLE_APPLICATION_CREDENTIALS": "a credentials file of Google",
}

// identity is what the controller's pods have got of their cloud.
func (d *doctor) identity(ctx context.Context) error {
	if d.home == "" {
		return nil
	}
	names, pods := map[string]bool{}, 0
	read, err := cluster.Each(ctx, d.k, &corev1.PodList{}, d.home, func(p *corev1.Pod) error {
		pods++
		for _, c := range p.Spec.Containers {
			for _, e := range c.Env {
				if what := injected[e.Name]; what != "" {
					names[what] = true
				}
			}
		}
		return nil
	}, ours)
	switch {
	case err != nil:
		return err
	case !read:
		d.report.unread("identity", "pods", "list")
	case pods == 0:
	case len(names) == 0:
		d.report.add("identity", Note, "no cloud has injected an identity into the controller's pods: entries without identity work by the node's, or not at all")
	default:
		all := []string{}
		for name := range names {
			all = append(all, name)
		}
		slices.Sort(all)
		d.report.add("identity", Good, "the controller's own: %s", strings.Join(all, ", "))
	}
	return nil
}

// credentials are what fails of them, in numbers.
func (d *doctor) credentials(ctx context.Context) error {
	all, err := d.k.Credentials(ctx, "")
	if err != nil {
		d.report.add("credentials", Bad, "%s", err)
		return nil
	}
	if d.k.Missed("registrycredentials") || d.k.Missed("clusterregistrycredentials") {
		d.report.unread("credentials", "regcreds", "list")
	}
	count := map[string]int{}
	for _, c := range all {
		ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
		switch {
		case ready == nil:
			count["not reported on"]++
		case ready.Status != metav1.ConditionTrue:
			count["not ready"]++
		}
		for _, reason := range reasonsOf(c) {
			count[strings.ToLower(reason)]++
		}
	}
	state, texts := Good, []string{output.Count(len(all), "credential")}
	for _, what := range []string{"not reported on", "not ready", "secretconflict", "contended", "overridden", "suspended"} {
		if n := count[what]; n > 0 {
			texts = append(texts, fmt.Sprintf("%d %s", n, what))
			if what != "overridden" && what != "suspended" {
				state = Bad
			}
		}
	}
	d.report.add("credentials", state, "%s", strings.Join(texts, ", "))
	return nil
}

// reasonsOf are the reasons of a credential, of its entries and of its namespaces, each once.
func reasonsOf(c *cluster.Credential) []string {
	var reasons []string
	if c.Spec.Suspend {
		reasons = append(reasons, v1alpha1.ReasonSuspended)
	}
	for _, r := range c.Status.Registries {
		reasons = append(reasons, r.Reason)
	}
	if c.Cluster != nil {
		for _, f := range c.Cluster.Failures {
			reasons = append(reasons, f.Reason)
		}
	}
	if ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady); ready != nil {
		reasons = append(reasons, ready.Reason)
	}
	slices.Sort(reasons)
	return slices.Compact(reasons)
}
