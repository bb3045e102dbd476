package doctor

import (
	"context"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/check"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
)

// rules are those of the controller's ClusterRole.
func (d *doctor) rules(ctx context.Context) error {
	found := false
	read, err := each(ctx, d, "rules", &rbacv1.ClusterRoleList{}, "", func(r *rbacv1.ClusterRole) {
		if !writesSecrets(r.Rules) {
			return // one of the roles for people, or for metrics
		}
		found = true
		switch missing, off := Lacking(r.Rules); {
		case len(missing) > 0:
			d.add("rules", check.Bad, "ClusterRole %s lacks %s: upgrade what Regcred is installed from", r.Name, strings.Join(missing, ", "))
		case len(off) > 0:
			d.add("rules", check.Good, "ClusterRole %s, without the rights for %s", r.Name, strings.Join(off, " and "))
		default:
			d.add("rules", check.Good, "ClusterRole %s", r.Name)
		}
	}, ours)
	if read && !found {
		d.add("rules", check.Note, "no ClusterRole of the controller: with watchNamespaces it has Roles, which are not checked")
	}
	return err
}

func writesSecrets(rules []rbacv1.PolicyRule) bool {
	return slices.ContainsFunc(rules, func(r rbacv1.PolicyRule) bool { return includes(r.Resources, "secrets") && includes(r.Verbs, "create") })
}

// Policies are the ValidatingAdmissionPolicies that fence the controller, behind the name of the installation.
var Policies = []string{"ambient-identity", "evictions", "secrets", "service-accounts", "tokens"}

// absent are the policies that an installation lacks of which there are others.
func absent(names []string) (missing []string) {
	for _, name := range names {
		for _, known := range Policies {
			installation, ok := strings.CutSuffix(name, "-"+known)
			for _, wanted := range Policies {
				if one := installation + "-" + wanted; ok && !slices.Contains(names, one) && !slices.Contains(missing, one) {
					missing = append(missing, one)
				}
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// policies are the ValidatingAdmissionPolicies that fence the controller.
func (d *doctor) policies(ctx context.Context) error {
	var names []string
	read, err := each(ctx, d, "policies", &admissionv1.ValidatingAdmissionPolicyList{}, "", func(p *admissionv1.ValidatingAdmissionPolicy) {
		names = append(names, p.Name)
	}, ours)
	if !read {
		return err
	}
	if len(names) == 0 {
		d.add("policies", check.Note, "none: nothing but its rules bounds what the controller may write (config/policy, or policies in the chart)")
		return nil
	}
	bound := map[string]bool{}
	read, err = each(ctx, d, "policies", &admissionv1.ValidatingAdmissionPolicyBindingList{}, "", func(b *admissionv1.ValidatingAdmissionPolicyBinding) {
		bound[b.Spec.PolicyName] = bound[b.Spec.PolicyName] || slices.Contains(b.Spec.ValidationActions, admissionv1.Deny)
	})
	if !read {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if bound[name] {
			d.add("policy "+name, check.Good, "bound")
		} else {
			d.add("policy "+name, check.Bad, "no binding lets it deny anything")
		}
	}
	for _, name := range absent(names) {
		d.add("policy "+name, check.Bad, "it is not installed, and others are: upgrade what Regcred is installed from")
	}
	return nil
}

// linkPolicies are the MutatingAdmissionPolicies that link ServiceAccounts.
func (d *doctor) linkPolicies(ctx context.Context) error {
	var names []string
	read, err := each(ctx, d, "link policies", &admissionv1.MutatingAdmissionPolicyList{}, "", func(p *admissionv1.MutatingAdmissionPolicy) {
		names = append(names, p.Name)
	}, ours)
	switch {
	case err == cluster.ErrNotInstalled: //nolint:errorlint // it is never wrapped
		d.add("link policies", check.Note, "this API server serves no MutatingAdmissionPolicy (1.36 does): the controller links ServiceAccounts by itself, a moment later")
		return nil
	case !read:
	case len(names) == 0:
		d.add("link policies", check.Note, "none: the controller links ServiceAccounts by itself, a moment after they are created")
	default:
		return d.linkBindings(ctx, names)
	}
	return err
}

// linkBindings says which of the policies that link do.
func (d *doctor) linkBindings(ctx context.Context, names []string) error {
	bound := map[string]bool{}
	read, err := each(ctx, d, "link policies", &admissionv1.MutatingAdmissionPolicyBindingList{}, "", func(b *admissionv1.MutatingAdmissionPolicyBinding) {
		bound[b.Spec.PolicyName] = true
	})
	if !read {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if bound[name] {
			d.add("link policy "+name, check.Good, "bound")
		} else {
			d.add("link policy "+name, check.Bad, "no binding lets it link anything")
		}
	}
	return nil
}
