package broker_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/providers/broker"
)

// revocable is a provider of tokens with IDs, and a Broker over it that notes which were retired.
func revocable(t *testing.T, o broker.Options) (*fake, *broker.Broker, func() []providers.TokenName) {
	t.Helper()
	p := &fake{life: 12 * time.Hour}
	p.change = func(token *providers.Token) { token.ID = fmt.Sprintf("id-%d", p.calls.Load()) }
	retired := make(chan providers.TokenName, 100)
	o.Retired = func(_ string, name providers.TokenName) { retired <- name }
	return p, with(t, p, o), func() []providers.TokenName {
		synctest.Wait()
		var names []providers.TokenName
		for len(retired) > 0 {
			names = append(names, <-retired)
		}
		return names
	}
}

func revoke(b *broker.Broker, name providers.TokenName) error {
	ended := make(chan error, 1)
	b.Revoke(name, func(err error) { ended <- err })
	return <-ended
}

func name(req providers.Request, token providers.Token) providers.TokenName {
	return providers.NewTokenName(req.Source(), token.ID)
}

// clumsy is a provider that panics over an ID.
type clumsy struct{ *fake }

func (c clumsy) Revoke(ctx context.Context, req providers.Request, id string) error {
	if req.Tenant == "attacker" {
		panic("canary")
	}
	return c.fake.Revoke(ctx, req, id)
}

func TestAPanicOfARevocationHarmsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &fake{life: 12 * time.Hour, change: func(token *providers.Token) { token.ID = "id" }}
		b := with(t, clumsy{p}, broker.Options{})
		for _, tenant := range []string{"attacker", "victim"} {
			req := entry(tenant, "eu-west-1", 0)
			b.SetSources(ownerIn(tenant), []string{req.Source()})
			token := must(t, b, req, time.Time{})
			b.SetSources(ownerIn(tenant), nil)
			err := revoke(b, name(req, token))
			if (err != nil) != (tenant == "attacker") || quotes(err, "canary") {
				t.Errorf("%s: %v", tenant, err)
			}
		}
		if got := p.ended(); !slices.Equal(got, []string{"id"}) {
			t.Errorf("revoked %v, want the neighbour's", got)
		}
	})
}

// A tenant's own server can say that its token has the ID of another's.
func TestATokenIsRevokedAsTheIdentityThatItIsOfWhoeverHasOneOfItsID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b, retired := revocable(t, broker.Options{})
		p.change = func(token *providers.Token) { token.ID = "shared" }
		shared, own := entry("", "eu-west-1", 0), entry("attacker", "eu-west-1", 1)
		b.SetSources(ownerIn("shared"), []string{shared.Source()})
		b.SetSources(ownerIn("attacker"), []string{own.Source()})
		token := must(t, b, shared, time.Time{})
		must(t, b, own, time.Time{})
		b.SetSources(ownerIn("shared"), nil)
		if got := retired(); !slices.Equal(got, []providers.TokenName{name(shared, token)}) {
			t.Fatalf("retired %v", got)
		}
		if err := revoke(b, name(shared, token)); err != nil || !slices.Equal(p.ended(), []string{"shared"}) || p.endedFor != "-0" {
			t.Errorf("revoked %v for %q, %v: the other's stands in its place", p.ended(), p.endedFor, err)
		}
	})
}

func TestWhatIsNoLongerHandedOutIsToldAndCanBeRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b, retired := revocable(t, broker.Options{})
		req := request("eu-west-1").Sealed()
		b.SetSources(ownerIn("a"), []string{req.Source()})
		first := must(t, b, req, time.Time{})
		for _, id := range []providers.TokenName{name(req, first), "somebody else's"} {
			if err := revoke(b, id); err != nil || len(p.ended()) != 0 {
				t.Errorf("%s: %v, revoked %v: it is in use, or not known", id, err, p.ended())
			}
		}
		pass(time.Minute)
		second := must(t, b, req, first.IssuedAt)
		if got := retired(); !slices.Equal(got, []providers.TokenName{name(req, first)}) {
			t.Errorf("retired %v, want the one that was replaced", got)
		}
		for range 2 { // what is ended is not ended again
			if err := revoke(b, name(req, first)); err != nil || !slices.Equal(p.ended(), []string{first.ID}) {
				t.Errorf("revoked %v, %v", p.ended(), err)
			}
		}
		b.SetSources(ownerIn("a"), nil)
		if got := retired(); !slices.Equal(got, []providers.TokenName{name(req, second)}) {
			t.Errorf("retired %v, want that of the source that nobody names any more", got)
		}
		p.err = down()
		if err := revoke(b, name(req, second)); err == nil {
			t.Error("a failure is not told")
		}
	})
}

func TestWhatIsMintedForNobodyIsRetired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b, retired := revocable(t, broker.Options{})
		p.latency = time.Second
		req := request("eu-west-1").Sealed()
		b.SetSources(ownerIn("a"), []string{req.Source()})
		_, _ = b.Token(req, time.Time{}, nil)
		b.SetSources(ownerIn("a"), nil)
		pass(2 * time.Second)
		if got := retired(); len(got) != 1 {
			t.Errorf("retired %v, want what was minted after the credential had gone", got)
		}
		p.life = -time.Minute
		_, _ = ask(b, req, time.Time{})
		if got := retired(); len(got) != 1 {
			t.Errorf("retired %v, want what was of no use", got)
		}
	})
}

// A source that the cluster shares is the cluster's, and yet a tenant's Secret that holds its token may be given back.
func TestWhatIsSparedLivesToItsEndInWhoseTurnItWasMinted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b, retired := revocable(t, broker.Options{})
		b.SetSources(platform, []string{ambient("").Source()})
		token := must(t, b, ambient(""), time.Time{})
		b.Spare(nameOfAmbient(token))
		b.SetSources(platform, nil)
		for _, id := range retired() {
			if err := revoke(b, id); err != nil {
				t.Error(err)
			}
		}
		if err := revoke(b, nameOfAmbient(token)); err != nil || len(p.ended()) != 0 {
			t.Errorf("revoked %v: %v", p.ended(), err)
		}
	})
}

func TestASourceThatTheClusterNoLongerNamesIsTheTenantsThatAskForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, b, _ := revocable(t, broker.Options{})
		var whose []string
		b.Retired = func(tenant string, _ providers.TokenName) { whose = append(whose, tenant) }
		p.life = 12 * time.Hour
		b.SetSources(platform, []string{ambient("").Source()})
		b.SetSources(ownerIn("team"), []string{ambient("team").Source()})
		must(t, b, ambient(""), time.Time{})
		b.SetSources(platform, nil)
		pass(time.Hour)
		must(t, b, refreshing(ambient("team"), "mine"), time.Time{})
		b.SetSources(ownerIn("team"), nil)
		synctest.Wait()
		if !slices.Equal(whose, []string{"", "team"}) {
			t.Errorf("the tokens that are to be revoked are of %q, want the cluster's and then the tenant's", whose)
		}
	})
}
