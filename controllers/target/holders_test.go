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
	h := newHolders(2, 2, func(token providers.TokenName) { released = append(released, token) })
	a, b := client.ObjectKey{Namespace: "a"}, client.ObjectKey{Namespace: "b"}
	h.put(a, "", []providers.TokenName{"1"})
	h.put(b, "", []providers.TokenName{"1", "2"})
	h.put(a, "", []providers.TokenName{"1"}) // written again
	h.put(a, "", []providers.TokenName{"3"})
	if !h.holds("1") || !h.holds("2") || !h.holds("3") || len(released) != 0 {
		t.Errorf("released %v while they are held", released)
	}
	h.put(b, "", nil)
	h.put(b, "", nil)
	h.put(a, "", nil)
	slices.Sort(released)
	if !slices.Equal(released, []providers.TokenName{"1", "2", "3"}) || h.held.Len()+len(h.counts) != 0 {
		t.Errorf("released %v; %d things are remembered", released, h.held.Len()+len(h.counts))
	}
}

func TestTheTokensOfASecretThatThereIsNoRoomForAreNotReleased(t *testing.T) {
	var released []providers.TokenName
	h := newHolders(4, 1, func(token providers.TokenName) { released = append(released, token) })
	h.put(client.ObjectKey{Namespace: "victim", Name: "0"}, "victim", []providers.TokenName{"victims", "shared"})
	h.put(client.ObjectKey{Namespace: "mallory", Name: "0"}, "mallory", []providers.TokenName{"first", "shared"})
	unknown := h.put(client.ObjectKey{Namespace: "mallory", Name: "1"}, "mallory", []providers.TokenName{"second"})
	if !slices.Equal(unknown, []providers.TokenName{"first", "shared"}) || len(released) != 0 {
		t.Errorf("lost sight of %v, released %v", unknown, released)
	}
	if !h.holds("victims") || !h.holds("shared") || !h.holds("second") || h.holds("first") {
		t.Error("another's, or the newest, is what is not known any more")
	}
}

// BenchmarkHolders is a rotation: each Secret in turn gives up a token that all hold.
func BenchmarkHolders(b *testing.B) {
	for _, secrets := range []int{10, 10_000} {
		b.Run(fmt.Sprint(secrets), func(b *testing.B) {
			h := newHolders(maxTargets, targetsOfTenant, func(providers.TokenName) {})
			keys := make([]client.ObjectKey, secrets)
			for i := range keys {
				keys[i] = client.ObjectKey{Namespace: fmt.Sprint("ns-", i), Name: "pull"}
				h.put(keys[i], "", []providers.TokenName{"old"})
			}
			tokens := [][]providers.TokenName{{"new"}, {"old"}}
			for i := 0; b.Loop(); i++ {
				h.put(keys[i%secrets], "", tokens[i/secrets%2])
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

// sparing takes note of the tokens that are to live to their end.
type sparing struct {
	Tokens
	spared []providers.TokenName
}

func (s *sparing) Spare(name providers.TokenName) { s.spared = append(s.spared, name) }

func TestATokenOfASecretThatIsLostSightOfIsSpared(t *testing.T) {
	tokens := &sparing{}
	r := New(Config{Clock: clock.RealClock{}, Tokens: tokens})
	r.holders = newHolders(4, 1, func(providers.TokenName) {})
	for n := range 2 {
		r.noteTokens(credential.Target{Credential: credential.Key{Namespace: "a"}, Namespace: "a", Name: fmt.Sprint(n)}, []*EntryState{
			{Record: pullsecret.Record{Source: "0", ID: fmt.Sprint(n)}, auths: pullsecret.Auths{"host": {}}}})
	}
	if !slices.Equal(tokens.spared, []providers.TokenName{"0/0"}) {
		t.Errorf("%v are spared, not the first", tokens.spared)
	}
}
