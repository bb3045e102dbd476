package controllers

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"
)

func TestAScopeNamesWhatCanBeMeant(t *testing.T) {
	for _, c := range []struct {
		scope Scope
		flag  string
	}{
		{Scope{}, ""},
		{Scope{Namespaces: sets.New("team-a"), SecretNames: sets.New("regcred", "hub.pat")}, ""},
		{Scope{Namespaces: sets.New("Team")}, "--watch-namespaces"},
		{Scope{Namespaces: sets.New("team.a")}, "--watch-namespaces"},
		{Scope{SecretNames: sets.New("*")}, "--secret-names"},
	} {
		err := c.scope.Validate()
		if (err == nil) != (c.flag == "") || err != nil && !strings.Contains(err.Error(), c.flag) {
			t.Errorf("%v: %v, want an error of %q", c.scope, err, c.flag)
		}
	}
}

func TestACredentialOfANameThatIsNotServedIsToldSo(t *testing.T) {
	w, ns := newWorld(t)
	w.Scope = Scope{SecretNames: sets.New("served")}
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	if ready := w.ready(target); ready.Reason != "NameNotServed" || !strings.Contains(ready.Message, "served (--secret-names)") {
		t.Errorf("Ready is %s: %s", ready.Reason, ready.Message)
	}
	if got := w.links(ns, "default"); len(got) > 0 {
		t.Errorf("linked to %q, which nobody will write", got)
	}
}
