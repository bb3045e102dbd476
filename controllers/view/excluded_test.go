package view_test

import (
	"strings"
	"testing"

	"github.com/regcred/regcred/controllers/view"
)

func TestExcludedNamespaces(t *testing.T) {
	e := view.Excluded{"kube-system", "openshift-*", "p-*", "*-tmp", "a*z"}
	if err := e.Validate(); err != nil {
		t.Fatal(err)
	}
	for namespace, want := range map[string]bool{
		"kube-system": true, "kube-system2": false, "my-kube-system": false, "openshift-": true, "openshift-monitoring": true, "openshift": false,
		"my-openshift-monitoring": false, "p-1": true, "p": false, "up-1": false, "job-tmp": true, "job-tmp2": false, "az": true, "a-b-z": true, "azb": false,
	} {
		if got := e.Has(namespace); got != want {
			t.Errorf("%s: %t", namespace, got)
		}
	}
	if (view.Excluded{}).Has("kube-system") {
		t.Error("nothing is excluded by nobody")
	}
}

func TestWhatNoNamespaceCanBeCalledIsNoExclusion(t *testing.T) {
	for _, bad := range []string{"", "Kube-System", "a/b", "[a-z]", "a?", `a\*`, "-a", "a-", "a.b", strings.Repeat("a", 64), "^kube-system$"} {
		if err := (view.Excluded{"good", bad}).Validate(); err == nil || !strings.HasPrefix(err.Error(), "--excluded-namespaces: ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
