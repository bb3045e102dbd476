package doctor

import (
	"context"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
)

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
