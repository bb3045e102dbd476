package guards

import "testing"

func TestTheListIsComplete(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Errorf("%d guards", len(all))
	}
	for _, g := range all {
		if g.Name == "" || g.Caught == "" || g.Run == "" || g.Take == g.Leave {
			t.Errorf("%+v is not complete", g)
		}
	}
}
