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
	for _, file := range []string{"ambient-identity", "evictions", "secrets", "service-accounts", "tokens"} {
		for i, validation := range policyNamed(t, file).Spec.Validations {
			t.Run(file+": "+validation.Message, func(t *testing.T) {
				attacks := refused[validation.Message]
				if s, ok := settled[validation.Message]; ok {
					setVariable(t, file, s.variable, s.value)
					await(t, "refusal of "+s.attack.name, func() bool { return denies(s.attack.policy, carryOut(t, s.attack)) })
					attacks = []attack{s.attack}
				}
				takeAway(t, file, i, attacks)
			})
		}
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

// takeAway lets a validation pass everything, waits for one of the attacks to succeed, and puts it back.
func takeAway(t *testing.T, file string, i int, attacks []attack) {
	t.Helper()
	if len(attacks) == 0 {
		t.Fatal("no attack is refused by it")
	}
	policy := policyNamed(t, file)
	intact := policy.Spec.Validations[i].Expression
	policy.Spec.Validations[i].Expression = "true"
	must(t, admin.Update(t.Context(), policy))
	succeeded := -1
	await(t, "an attack that succeeds without it", func() bool {
		succeeded = slices.IndexFunc(attacks, func(a attack) bool { return carryOut(t, a) == nil })
		return succeeded >= 0
	})
	policy = policyNamed(t, file)
	policy.Spec.Validations[i].Expression = intact
	must(t, admin.Update(t.Context(), policy))
	await(t, "its return", func() bool { return denies(attacks[succeeded].policy, carryOut(t, attacks[succeeded])) })
}

func policyNamed(t *testing.T, file string) *admissionregistrationv1.ValidatingAdmissionPolicy {
	t.Helper()
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{}
	must(t, admin.Get(t.Context(), client.ObjectKey{Name: "regcred-" + file}, policy))
	return policy
}
