package view

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
