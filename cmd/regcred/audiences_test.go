package main

import (
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/regcred/regcred/providers"
)

var update = flag.Bool("update", false, "write the audiences of providers into the policy for tokens")

// TestTheTokenPolicyAllowsWhatProvidersAskFor also writes the policy, with -update: so that it takes no second list to add a provider.
func TestTheTokenPolicyAllowsWhatProvidersAskFor(t *testing.T) {
	const file = "../../config/policy/tokens.yaml"
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	variable := regexp.MustCompile(`(?s)(  - name: audiences\n    expression: >-\n).*?(\n  (?:#|- name: ))`)
	if len(variable.FindAll(before, -1)) != 1 {
		t.Fatalf("%s has no variable audiences, or several", file)
	}
	list := "      ['" + strings.Join(audiences(t), "',\n      '") + "']"
	after := variable.ReplaceAll(before, []byte("${1}"+strings.ReplaceAll(list, "$", "$$")+"${2}"))
	if *update {
		if err := os.WriteFile(file, after, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(before) != string(after) {
		t.Errorf("%s does not allow exactly %s: run make generate", file, list)
	}
}

// audiences are those of all providers, each an expression that matches whole audiences and needs no escape in CEL.
func audiences(t *testing.T) []string {
	t.Helper()
	all, err := implementations(providerOptions{}, clocktesting.NewFakePassiveClock(time.Time{}))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for name, p := range all {
		lister, ok := p.(providers.AudienceLister)
		if !ok {
			continue
		}
		for _, expression := range lister.Audiences() {
			if _, err := regexp.Compile(expression); err != nil || !strings.HasPrefix(expression, "^") || !strings.HasSuffix(expression, "$") {
				t.Errorf("%s: %q is no anchored expression: %v", name, expression, err)
			}
			if strings.ContainsAny(expression, `'\`+"\n") {
				t.Errorf("%s: %q cannot be quoted in CEL: write [.] instead of an escape", name, expression)
			}
			found = append(found, expression)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
