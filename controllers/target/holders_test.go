package target

import (
	"fmt"
	"slices"
	"testing"

	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/providers"
)

func TestATokenIsReleasedByTheLastSecretThatHoldsIt(t *testing.T) {
	var released []providers.TokenName
	h := newHolders(2, func(token providers.TokenName) { released = append(released, token) })
	a, b, c := client.ObjectKey{Namespace: "a"}, client.ObjectKey{Namespace: "b"}, client.ObjectKey{Namespace: "c"}
	h.put(a, []providers.TokenName{"1"})
	h.put(b, []providers.TokenName{"1", "2"})
	h.put(a, []providers.TokenName{"1"}) // written again
	h.put(a, []providers.TokenName{"3"})
	if !h.holds("1") || !h.holds("2") || !h.holds("3") || len(released) != 0 {
		t.Errorf("released %v while they are held", released)
	}
	if h.put(c, []providers.TokenName{"1"}) || len(h.tokens) != 2 {
		t.Error("there is room for more than is promised")
	}
	h.put(b, nil)
	h.put(b, nil)
	h.put(a, nil)
	slices.Sort(released)
	if !slices.Equal(released, []providers.TokenName{"1", "2", "3"}) || len(h.tokens)+len(h.counts) != 0 {
		t.Errorf("released %v; %d things are remembered", released, len(h.tokens)+len(h.counts))
	}
}

// BenchmarkHolders is a rotation: each Secret in turn gives up a token that all hold.
func BenchmarkHolders(b *testing.B) {
	for _, secrets := range []int{10, 10_000} {
		b.Run(fmt.Sprint(secrets), func(b *testing.B) {
			h := newHolders(maxTargets, func(providers.TokenName) {})
			keys := make([]client.ObjectKey, secrets)
			for i := range keys {
				keys[i] = client.ObjectKey{Namespace: fmt.Sprint("ns-", i), Name: "pull"}
				h.put(keys[i], []providers.TokenName{"old"})
			}
			tokens := [][]providers.TokenName{{"new"}, {"old"}}
			for i := 0; b.Loop(); i++ {
				h.put(keys[i%secrets], tokens[i/secrets%2])
				if h.holds("none") {
					b.Fatal("a token that nobody holds")
				}
			}
		})
	}
}

// What is read back from a Secret brings its record along, in which a tenant may have named another's token.
func TestWhatIsReadBackHoldsOnlyWhatItHeldBefore(t *testing.T) {
	r := New(Config{Clock: clock.RealClock{}})
	at := credential.Target{Namespace: "a", Name: "pull"}
	entry := func(id string, readBack bool) *EntryState {
		return &EntryState{Record: pullsecret.Record{Source: "0", ID: id}, auths: pullsecret.Auths{"host": {}}, readBack: readBack}
	}
	r.noteTokens(at, []*EntryState{entry("1", false)})
	r.noteTokens(at, []*EntryState{entry("1", true), entry("stolen", true)})
	if !r.Holds("0/1") || r.Holds("0/stolen") {
		t.Errorf("holds what it did %t, what it says %t", r.Holds("0/1"), r.Holds("0/stolen"))
	}
}
