package guards

import "testing"

// Whoever moves a guard has to move its line in guards.yaml, too.
func TestEveryGuardIsWhereTheListSays(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("the list is empty")
	}
	for _, g := range all {
		if _, err := g.without("../.."); err != nil {
			t.Errorf("%s: %v", g.Name, err)
		}
		if g.Name == "" || g.Caught == "" || g.Run == "" || g.Take == g.Leave {
			t.Errorf("%+v is not complete", g)
		}
	}
}
