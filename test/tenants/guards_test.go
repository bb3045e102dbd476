package tenants

import (
	"testing"

	"github.com/regcred/regcred/test/guards"
)

// unguarded are abuses that come to nothing without a line of ours that could go.
var unguarded = map[string]string{
	"times that are none":                                                    unparsed,
	"a record that is no JSON":                                               unparsed,
	"a record that is empty":                                                 unparsed,
	"a failed pull that says what nobody should read":                        "of what a kubelet says, an image, a registry and a status are read, and no text",
	"1,000 credentials, and an identity Secret that changes 2,000 times":     passes,
	"1,000 credentials, and 1,000 labelled Secrets that are deleted at once": passes,
	"identities that are not there":                                          "without an identity there is nothing that a call could be made with",
}

const (
	passes   = "where the events of all Secrets pass nobody is asked, so there is nothing to take away"
	unparsed = "encoding/json takes none of it, and then there is nothing that could be believed"
)

// Each guard is taken away by test/guards, and a test notices. Here it is seen that no abuse is without one.
func TestEachAbuseHasAGuard(t *testing.T) {
	all, err := guards.All()
	if err != nil {
		t.Fatal(err)
	}
	against := map[string]string{}
	for _, g := range all {
		for _, abuse := range g.Against {
			against[abuse] = g.Name
		}
	}
	for _, group := range groups {
		for _, a := range group.abuses {
			guard, guarded := against[a.name]
			if why, known := unguarded[a.name]; guarded == known {
				t.Errorf("%s: its guard is %q, and it needs none since %q; want one of the two", a.name, guard, why)
			}
			delete(against, a.name)
		}
	}
	for abuse, guard := range against {
		t.Errorf("%s: a guard against %q, which nobody tries", guard, abuse)
	}
}
