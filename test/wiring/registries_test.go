package wiring

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

func TestNamespacesShareTheTokensOfEveryProvider(t *testing.T) {
	e := prepareEveryProvider(t, "shared")
	for _, name := range []string{"shared-1", "shared-2"} {
		create(t, namespace(name, map[string]string{"team": "shared"}))
	}
	before := calls()
	create(t, e.credential)
	first, second := e.published(t, "shared-1", e.entries()...), e.published(t, "shared-2", e.entries()...)
	got := callsSince(before)
	want := map[string]int{
		"aws " + cloud.ActionAssumeRoleWithWebIdentity: 1, "aws " + cloud.ActionGetAuthorizationToken: 1, "aws " + cloud.ActionGetPublicAuthorizationToken: 1,
		"google " + cloud.ActionGoogleExchange: 1, "google " + cloud.ActionGenerateAccessToken: 1, "google " + cloud.ActionTestIamPermissions: 1,
		"google " + cloud.ActionGoogleJWTGrant: 1,
		"azure " + cloud.ActionEntraToken:      2, "azure " + cloud.ActionACRExchange: 2, // two entries
		"jfrog " + cloud.ActionJFrogExchangeToken: 1, "jfrog " + cloud.ActionJFrogCreateToken: 1,
		"plugin " + cloud.ActionGetAuthorizationToken: 2, "plugin " + cloud.ActionAssumeRoleWithWebIdentity: 1, // two entries
	}
	if diff := cmp.Diff(want, withoutTrials(got)); diff != "" {
		t.Errorf("calls for two namespaces (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(len(auths(t, first)), len(e.entries())); diff != "" || !maps.Equal(auths(t, first), auths(t, second)) {
		t.Errorf("the namespaces have different tokens, or the entries are not all there: %s", diff)
	}
	e.pulls(t, second, e.entries()...)
}

// withoutTrials leaves out how a token is tried at its registry, in as many requests as the protocol needs, and how a client of Entra's
// finds its endpoints.
func withoutTrials(calls map[string]int) map[string]int {
	maps.DeleteFunc(calls, func(call string, _ int) bool {
		_, action, _ := strings.Cut(call, " ")
		return slices.Contains([]string{cloud.ActionPing, cloud.ActionHeadManifest, cloud.ActionGetManifest, cloud.ActionRealmToken, cloud.ActionEntraDiscovery}, action)
	})
	return calls
}

func TestABadRegistryDelaysNoOther(t *testing.T) {
	hung, throttled, failing := []string{azure, azureSecret}, []string{google, googleKey}, []string{jfrog, jfrogAdmin}
	bad := slices.Concat(hung, throttled, failing)
	breakClouds := func() {
		world.Azure.Exchange.Set(cloud.Fault{Outage: cloud.OutageHang})
		world.Google.SetAPIs(cloud.Fault{Throttle: -1, RetryAfter: time.Second})
		world.JFrog.Access.Set(cloud.Fault{Outage: cloud.OutageServerError})
	}
	mendClouds := func() {
		world.Azure.Exchange.Reset()
		world.Google.SetAPIs(cloud.Fault{})
		world.JFrog.Access.Reset()
	}
	t.Cleanup(mendClouds)
	stillHung := func() {
		t.Helper()
		if got := world.Azure.Exchange.Hanging(); got != len(hung) {
			t.Errorf("%d calls hang, want %d", got, len(hung))
		}
	}
	e := prepareEveryProvider(t, "isolated")
	healthy := slices.DeleteFunc(e.entries(), func(name string) bool { return slices.Contains(bad, name) })
	create(t, namespace("isolated-1", map[string]string{"team": "isolated"}))

	breakClouds()
	create(t, e.credential)
	e.pulls(t, e.published(t, "isolated-1", healthy...), healthy...)
	stillHung()
	mendClouds()
	before := e.published(t, "isolated-1", e.entries()...)
	e.pulls(t, before, e.entries()...)

	breakClouds()
	e.refresh(t)
	after := e.published(t, "isolated-1", healthy...)
	stillHung()
	if after.UID != before.UID {
		t.Error("the Secret was replaced")
	}
	was, is := auths(t, before), auths(t, after)
	for _, name := range e.entries() {
		// What is static has the same bytes as ever.
		rotates := slices.Contains(healthy, name) && name != hub && name != dockerConfig
		if (was[name] != is[name]) != rotates {
			t.Errorf("%s: rotated: %t, want %t", name, was[name] != is[name], rotates)
		}
	}
	e.pulls(t, after, e.entries()...)
	stillHung()
	mendClouds()
	e.published(t, "isolated-1", e.entries()...)
}

func TestEntriesComeAndGoAndTouchNoOther(t *testing.T) {
	e := prepareEveryProvider(t, "entries")
	all := slices.Clone(e.credential.Spec.Registries)
	without := func(name string) []v1alpha1.Registry {
		return slices.DeleteFunc(slices.Clone(all), func(r v1alpha1.Registry) bool { return r.Name == name })
	}
	set := func(registries []v1alpha1.Registry) {
		t.Helper()
		raw, err := json.Marshal(map[string]any{"spec": map[string]any{"registries": registries}})
		if err != nil {
			t.Fatal(err)
		}
		patch(t, e.credential, string(raw))
	}
	create(t, namespace("entries-1", map[string]string{"team": "entries"}))
	e.credential.Spec.Registries = without(jfrogAdmin)
	create(t, e.credential)
	first := auths(t, e.published(t, "entries-1", names(without(jfrogAdmin))...))

	before := calls()
	set(all)
	second := auths(t, e.published(t, "entries-1", e.entries()...))
	if diff := cmp.Diff(map[string]int{"jfrog " + cloud.ActionJFrogCreateToken: 1}, withoutTrials(callsSince(before))); diff != "" {
		t.Errorf("calls for one more entry (-want +got):\n%s", diff)
	}
	before = calls()
	set(without(google))
	third := auths(t, e.published(t, "entries-1", names(without(google))...))
	if got := callsSince(before); len(got) > 0 {
		t.Errorf("calls for one entry less: %v", got)
	}
	for name := range e.images {
		if name != jfrogAdmin && (first[name] == "" || first[name] != second[name]) || name != google && (second[name] == "" || second[name] != third[name]) {
			t.Errorf("%s: the bytes are not what they were", name)
		}
	}
}

func names(registries []v1alpha1.Registry) []string {
	out := make([]string, len(registries))
	for i, r := range registries {
		out[i] = r.Name
	}
	return out
}

func TestTheFirstOfTwoEntriesForOneHostHasIt(t *testing.T) {
	create(t, namespace("double", nil))
	c := &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "double", Name: "images"}}
	for i, host := range []v1alpha1.Host{"docker.io", "index.docker.io"} {
		user := []string{"double-first", "double-second"}[i]
		source(t, "double", user, world.DockerHub.AddUser(cloud.HubUser{Name: user, Pull: []string{user + "/app"}}))
		must(t)(world.DockerHub.SeedImage(user+"/app", "v1"))
		c.Spec.Registries = append(c.Spec.Registries, v1alpha1.Registry{Name: user, Static: &v1alpha1.Static{Host: host},
			Identity: &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: user}}})
	}
	create(t, c)
	condition(t, c, v1alpha1.ReasonDuplicateHost, "entries double-first and double-second both claim the host docker.io")
	s := secret(t, "double", "images", "the Secret", anySecret)
	for user, may := range map[string]bool{"double-first": true, "double-second": false} {
		if err := pullFromHub(t, s, user+"/app"); (err == nil) != may {
			t.Errorf("pulling what %s may pull: %v", user, err)
		}
	}
}

func TestAChangeOfAWatchedSourceIsPublished(t *testing.T) {
	create(t, namespace("source", nil))
	user := func() string {
		return world.DockerHub.AddUser(cloud.HubUser{Name: "source", Pull: []string{"source/app"}})
	}
	must(t)(world.DockerHub.SeedImage("source/app", "v1"))
	kept := source(t, "source", "source", user())
	c := &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: "source", Name: "images"}}
	c.Spec.Registries = []v1alpha1.Registry{{Name: "hub", Static: &v1alpha1.Static{Host: "docker.io"},
		Identity: &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: "source"}}}}
	create(t, c)
	before := secret(t, "source", "images", "the Secret", anySecret)
	if err := pullFromHub(t, before, "source/app"); err != nil {
		t.Errorf("the Secret does not pull: %v", err)
	}
	kept.StringData = map[string]string{"password": user()}
	if err := world.Client.Update(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	if err := pullFromHub(t, before, "source/app"); err == nil {
		t.Fatal("the old token is still good, so that this test proves nothing")
	}
	after := secret(t, "source", "images", "the new token", func(s *corev1.Secret) bool { return s.ResourceVersion != before.ResourceVersion })
	if err := pullFromHub(t, after, "source/app"); err != nil || after.UID != before.UID {
		t.Errorf("after the change: %v", err)
	}
}

// source creates a watched Secret with a username, which is its name, and a password.
func source(t *testing.T, namespace, name, password string) *corev1.Secret {
	t.Helper()
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}},
		StringData: map[string]string{"username": name, "password": password},
	}
	create(t, s)
	return s
}

func pullFromHub(t *testing.T, s *corev1.Secret, repository string) error {
	t.Helper()
	_, err := cloud.Pull(t.Context(), world.DockerHub.Transport(), s.Data[corev1.DockerConfigJsonKey], "docker.io/"+repository+":v1")
	return err
}
