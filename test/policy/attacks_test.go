package policy

import (
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// attack is something that a thief of the controller's token tries.
type attack struct {
	name string
	// policy refuses it; "" if RBAC does so already.
	policy string
	// prepare is what was there before, by somebody else.
	prepare func(t *testing.T, ns string)
	try     func(t *testing.T, ns string) error
}

func attacks() []attack {
	var all []attack
	all = append(all, secretAttacks...)
	all = append(all, accountAttacks...)
	all = append(all, tokenAttacks...)
	all = append(all, evictionAttacks...)
	return append(all, attacksBeyondRBAC...)
}

// TestAStolenTokenIsWorthLittle tries every attack twice: without the policies those that they are for succeed, or the suite would prove
// nothing.
func TestAStolenTokenIsWorthLittle(t *testing.T) {
	withPolicies(t, false)
	succeeded := 0
	for _, a := range attacks() {
		t.Run("without policies: "+a.name, func(t *testing.T) {
			err := carryOut(t, a)
			switch {
			case a.policy == "" && !apierrors.IsForbidden(err):
				t.Errorf("RBAC does not refuse it: %v", err)
			case a.policy != "" && err != nil:
				t.Errorf("it fails for another reason than a policy: %v", err)
			case err == nil:
				succeeded++
			}
		})
	}
	withPolicies(t, true)
	for _, a := range attacks() {
		t.Run("with policies: "+a.name, func(t *testing.T) {
			err := carryOut(t, a)
			if a.policy == "" && !apierrors.IsForbidden(err) || a.policy != "" && !denies(a.policy, err) {
				t.Errorf("not refused by %q: %v", a.policy, err)
			}
		})
	}
	if len(attacks()) < 90 || succeeded < 80 { // as docs/security.md says
		t.Errorf("%d attacks, of which %d succeed without the policies; want 90 and 80", len(attacks()), succeeded)
	}
	t.Logf("%d attacks, %d succeed without the policies, none with them", len(attacks()), succeeded)
}

func carryOut(t *testing.T, a attack) error {
	t.Helper()
	ns := namespace(t)
	if a.prepare != nil {
		a.prepare(t, ns)
	}
	return a.try(t, ns)
}
