package tenants

import (
	"slices"
	"time"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

// revocationAbuses are what a tenant can do with tokens that end before their time: those of JFrog.
var revocationAbuses = []abuse{
	{name: "the ID of a neighbour's token, on a Secret that goes", mints: 1, do: func(u *tenant) {
		victim := newTenant(u.whole, u.ns+"-victim", nil)
		victim.onPlatform("images")
		u.whole.Cleanup(victim.in(u.whole).leave)
		ids := u.liveTokens(victim.ns)
		if len(ids) != 1 {
			u.Fatalf("the neighbour has the tokens %q", ids)
		}
		u.onPlatform("images")
		forge(`"id": ` + quoted(ids[0]))(u)
		forge(`"id": `+quoted(ids[0]), asRegcred)(u)
		u.must(u.edit.Delete(u.Context(), u.target(platform)))
		u.must(u.edit.Delete(u.Context(), &v1alpha1.RegistryCredential{ObjectMeta: u.object("images")}))
	}, says: func(u *tenant) {
		u.endsIts()
		if ids := u.liveTokens(u.ns + "-victim"); len(ids) != 1 {
			u.Errorf("the neighbour's tokens are %q", ids)
		}
	}},
	{name: "tokens that come and go 20 times", writes: 100, do: func(u *tenant) {
		for range 20 {
			u.onPlatform("images")
			u.must(u.edit.Delete(u.Context(), &v1alpha1.RegistryCredential{ObjectMeta: u.object("images")}))
			u.eventually("the end of its Secret", func() bool { return u.edit.Get(u.Context(), u.key("images"), u.target("images")) != nil })
		}
	}, says: (*tenant).endsIts},
}

// onPlatform has a token of the JFrog platform kept in a Secret, by the identity of an administrator there.
func (u *tenant) onPlatform(name string) {
	u.Helper()
	world.JFrog.AddUser(cloud.JFrogUser{Name: u.ns})
	world.JFrog.AddUser(cloud.JFrogUser{Name: u.ns + "-admin", Admin: true})
	if u.edit.Get(u.Context(), u.key("jfrog-admin"), u.target("jfrog-admin")) != nil {
		token, _ := world.JFrog.CreateToken(u.ns+"-admin", 1000*time.Hour)
		u.identity("jfrog-admin", map[string]string{"token": token})
	}
	c := u.credential(name, v1alpha1.Registry{
		Name: "jfrog", Artifactory: &v1alpha1.Artifactory{URL: world.JFrog.URL(), Username: u.ns}, Identity: secretRef("jfrog-admin"),
	})
	u.create(c)
	u.eventually("a Secret "+name, func() bool { return u.edit.Get(u.Context(), u.key(name), u.target(name)) == nil })
}

// liveTokens are the IDs of a user's tokens.
func (u *tenant) liveTokens(user string) (ids []string) {
	u.Helper()
	for _, token := range world.JFrog.Tokens() {
		if token.Username == user && !token.Revoked {
			ids = append(ids, token.ID)
		}
	}
	return slices.Compact(ids)
}

// endsIts waits for the end of all its tokens, for which time has to pass in which they may still be on their way into a Secret.
func (u *tenant) endsIts() {
	u.Helper()
	for range 6 {
		u.must(controller.Advance(u.Context(), time.Minute))
		waitFor(u.T, quiet/3)
	}
	u.eventually("the end of its tokens", func() bool { return len(u.liveTokens(u.ns)) == 0 })
}
