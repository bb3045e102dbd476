package policy

import (
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// settled are validations that mean nothing until a variable of their policy is set, by their message: the variable, its value, and an attack then.
var settled = map[string]struct {
	variable, value string
	attack          attack
}{
	"the controller may not ask for a token with an audience of the API server": {
		"moreAudiences", "['https://kubernetes.default.svc']",
		attack{"act as another ServiceAccount by an audience that was added", tokens, puller, asking(audience("https://kubernetes.default.svc"))},
	},
	"the controller may write only the Secrets that --secret-names names": {
		"secretNames", "['registry-pull']", attack{"create a pull Secret of another name", secrets, nil, creating(untouched)},
	},
}

// lending is not the thief's: whoever may edit credentials uses the controller's own identity.
var lending = attack{"lend the controller's identity", "regcred-ambient-identity", nil, func(t *testing.T, ns string) error {
	t.Helper()
	return nobody(t).Create(t.Context(), ambient(ns, "evil"))
}}

// TestEachValidationStopsAnAttack takes every validation away in turn: an attack that no other one refuses must succeed, or nothing would fail
// if it were gone.
func TestEachValidationStopsAnAttack(t *testing.T) {
	withPolicies(t, true)
	refused := refusals(t)
	t.Run("without", func(t *testing.T) { // until the policies, which are for different requests, have all been tried
		for _, name := range []string{"regcred-ambient-identity", evictions, secrets, accounts, tokens} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				withoutEach(t, name, refused)
			})
		}
	})
	withPolicies(t, true)
}

// withoutEach lets one validation of a policy after the other pass everything.
func withoutEach(t *testing.T, name string, refused map[string][]attack) {
	t.Helper()
	intact := policyNamed(t, name).Spec
	defer enforce(t, name, intact)
	for i, validation := range intact.Validations {
		t.Run(validation.Message, func(t *testing.T) {
			attacks, weaker := refused[validation.Message], intact.DeepCopy()
			if s, ok := settled[validation.Message]; ok {
				attacks = []attack{s.attack}
				set(weaker, s.variable, s.value)
				enforce(t, name, *weaker)
				await(t, "refusal of "+s.attack.name, func() bool { return denies(name, carryOut(t, s.attack)) })
			}
			weaker.Validations[i].Expression = "true"
			enforce(t, name, *weaker)
			await(t, "an attack that succeeds without it", func() bool {
				return slices.ContainsFunc(attacks, func(a attack) bool { return carryOut(t, a) == nil })
			})
		})
	}
}

// refusals are the attacks by the message of the validation that refuses them first.
func refusals(t *testing.T) map[string][]attack {
	t.Helper()
	refused := map[string][]attack{"": {lending}} // it composes its message
	for _, a := range attacks() {
		if a.policy == "" {
			continue
		}
		err := carryOut(t, a)
		if !denies(a.policy, err) {
			t.Fatalf("%s is not refused: %v", a.name, err)
		}
		_, message, _ := strings.Cut(err.Error(), "denied request: ")
		refused[message] = append(refused[message], a)
	}
	return refused
}

func policyNamed(t *testing.T, name string) *admissionregistrationv1.ValidatingAdmissionPolicy {
	t.Helper()
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{}
	must(t, admin.Get(t.Context(), client.ObjectKey{Name: name}, policy))
	return policy
}

// enforce replaces what a policy demands. The API server notices some time later.
func enforce(t *testing.T, name string, spec admissionregistrationv1.ValidatingAdmissionPolicySpec) {
	t.Helper()
	policy := policyNamed(t, name)
	policy.Spec = spec
	must(t, admin.Update(t.Context(), policy))
}
