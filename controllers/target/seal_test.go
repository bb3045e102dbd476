package target

import (
	"testing"

	"github.com/regcred/regcred/controllers/credential"
)

func TestAKnownSealIsUpdatedAtTheBound(t *testing.T) {
	s := newSeals(2, 2)
	first, second := credential.Target{Namespace: "a"}, credential.Target{Namespace: "b"}
	s.put(first, seal{version: 1})
	s.put(second, seal{version: 1})
	for range 10 { // another would be dropped at random
		s.put(second, seal{version: 2})
		if _, known := s.get(first); !known {
			t.Fatal("another's seal was dropped")
		}
	}
	s.put(credential.Target{Namespace: "c"}, seal{version: 1})
	if s.all.Len() != 2 {
		t.Errorf("%d seals, want two", s.all.Len())
	}
}
