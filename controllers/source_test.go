package controllers

import (
	"context"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/target"
	"github.com/regcred/regcred/providers"
)

// The controller's own namespace is selected, too, and there the credential's Secret is its source: it is not written, although its owner
// consents, and another namespace is served.
func TestACredentialNeverWritesWhatItReads(t *testing.T) {
	for name, entry := range map[string]func(source string) v1alpha1.Registry{
		"identity": func(source string) v1alpha1.Registry {
			e := registry("prod", "eu-west-1")
			e.Identity = &v1alpha1.Identity{SecretRef: &v1alpha1.LocalReference{Name: source}}
			return e
		},
		"override": func(source string) v1alpha1.Registry {
			e := registry("prod", "eu-west-1")
			e.Override = &v1alpha1.Override{SecretRef: v1alpha1.LocalReference{Name: source}, Until: metav1.NewTime(metav1.Now().AddDate(0, 0, 1))}
			return e
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, ns := newWorld(t)
			w.Namespace = ns
			w.must(w.admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns + "-b", Labels: map[string]string{"team": ns}}}))
			source := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: ns,
				Labels: map[string]string{v1alpha1.LabelSecret: v1alpha1.LabelSecretIdentity}, Annotations: map[string]string{v1alpha1.AnnotationAdopt: "true"}},
				Type: corev1.SecretTypeDockerConfigJson, StringData: map[string]string{corev1.DockerConfigJsonKey: `{"auths":{}}`}}
			w.must(w.admin.Create(t.Context(), source))
			here := w.apply(ns, nil, entry(ns))
			there := credential.Target{Credential: here.Credential, Namespace: ns + "-b", Name: ns}
			w.run(here)
			w.run(there)
			if w.secret(here).ResourceVersion != source.ResourceVersion || len(w.links(ns, "default")) > 0 {
				t.Error("the source was written, or linked")
			}
			if len(tokens(t, w.secret(there))) != 1 {
				t.Error("the other namespace is not served")
			}
			if f := w.report(here).Failures; len(f) != 1 || f[0].Reason != v1alpha1.ReasonSecretConflict || !strings.Contains(f[0].Message, "prod") {
				t.Errorf("failures: %v", f)
			}
			// Nor is it made where it is missing: it would be its own source from then on.
			w.must(w.admin.Delete(t.Context(), source))
			w.run(here)
			if err := w.admin.Get(t.Context(), here.Secret(), &corev1.Secret{}); !apierrors.IsNotFound(err) {
				t.Errorf("the missing source was made: %v", err)
			}
		})
	}
}

// undead shows a credential that is no more.
type undead struct {
	client.Reader
	c *v1alpha1.ClusterRegistryCredential
}

func (u undead) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	if c, ok := o.(*v1alpha1.ClusterRegistryCredential); ok && key.Name == u.c.Name {
		u.c.DeepCopyInto(c)
		return nil
	}
	return u.Reader.Get(ctx, key, o, opts...)
}

// The watch of credentials is interrupted, and the garbage collector deletes what belongs to one that is no more.
func TestASecretWhoseCredentialIsNoMoreIsNotMadeAgainAndAgain(t *testing.T) {
	for name, again := range map[string]bool{"deleted": false, "deleted and created again": true} {
		t.Run(name, func(t *testing.T) {
			w, ns := newWorld(t)
			target := w.apply(ns, nil, registry("prod", "eu-west-1"))
			w.Cache = undead{w.Cache, w.credential(ns)}
			w.must(w.admin.Delete(t.Context(), w.credential(ns)))
			if again {
				w.apply(ns, nil, registry("prod", "eu-west-1"))
			}
			made := 0
			for range 5 {
				result := w.run(target)
				s := &corev1.Secret{}
				err := w.admin.Get(t.Context(), target.Secret(), s)
				if apierrors.IsNotFound(err) {
					if result.RequeueAfter != credential.RetryAfter {
						t.Errorf("again after %s", result.RequeueAfter)
					}
					continue
				}
				w.must(err)
				made++
				w.must(w.admin.Delete(t.Context(), s)) // as the garbage collector does
				w.deleted(s)
			}
			if made > 1 {
				t.Errorf("made %d times for a credential that is no more", made)
			}
		})
	}
}

// sparing knows which tokens are to live.
type sparing struct {
	target.Tokens
	spared *[]providers.TokenName
}

func (s sparing) Spare(name providers.TokenName) { *s.spared = append(*s.spared, name) }

// keeping notes which sources credentials are said to name.
type keeping struct {
	target.Tokens
	kept *[][]string
}

func (k keeping) SetSources(owner providers.Owner, sources []string) {
	*k.kept = append(*k.kept, slices.Clone(sources))
	k.Tokens.SetSources(owner, sources)
}

func TestWhatIsKeptFollowsFromTheSpecAndNotFromWhatASecretSays(t *testing.T) {
	w, good := newWorld(t)
	bad := w.tenant()
	w.must(w.admin.Patch(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: bad}},
		client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"team":"`+good+`"}}}`))))
	w.mint.change = func(*providers.Token) {} // which gives tokens an ID
	var kept [][]string
	w.Tokens = keeping{w.Tokens, &kept}
	w.serviceAccount(home, good, nil)
	entry := registry("prod", "eu-west-1")
	entry.Identity = &v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: good}}
	one := w.apply(good, nil, entry)
	two := one
	two.Namespace = bad
	w.run(one)
	w.run(two)
	// While the identity is missing, nobody knows a source but from what is written on a Secret, or is not.
	w.must(w.admin.Delete(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: good}}))
	s := w.secret(two)
	w.must(w.admin.Delete(t.Context(), s))
	w.deleted(s)
	w.run(two)
	w.run(one)
	for _, sources := range kept {
		if len(sources) != 1 || sources[0] == "" || !slices.Equal(sources, kept[0]) {
			t.Errorf("kept is %v, and was %v", sources, kept[0])
		}
	}
	select {
	case name := <-w.retired:
		t.Errorf("the token %s, which the neighbour holds, is retired", name)
	default:
	}
}

func TestTheTokenInWhatIsGivenBackIsNotRevoked(t *testing.T) {
	for consent, want := range map[string]bool{"true": true, "": false} {
		w, ns := newWorld(t)
		w.mint.change = func(*providers.Token) {}
		var spared []providers.TokenName
		w.Tokens = sparing{w.Tokens, &spared}
		if consent != "" {
			w.must(w.admin.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: ns, Annotations: map[string]string{v1alpha1.AnnotationAdopt: consent}},
				Type: corev1.SecretTypeDockerConfigJson, StringData: map[string]string{corev1.DockerConfigJsonKey: `{"auths":{}}`}}))
		}
		target := w.apply(ns, nil, registry("prod", "eu-west-1"))
		w.run(target)
		w.must(w.admin.Delete(t.Context(), w.credential(ns)))
		w.run(target)
		if got := slices.ContainsFunc(spared, func(name providers.TokenName) bool { return strings.HasSuffix(string(name), "/"+ns+"-1") }); got != want {
			t.Errorf("lent %t: spared %v", want, spared)
		}
	}
}

func TestANamespaceOfTheSameNameStartsAnew(t *testing.T) {
	namespace := func(uid string) *metav1.PartialObjectMetadata {
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: types.UID(uid)}}
	}
	for name, c := range map[string]struct {
		event func(h noteRecreated)
		want  int
	}{
		"deleted": {func(h noteRecreated) { h.Delete(t.Context(), event.DeleteEvent{Object: namespace("1")}, nil) }, 1},
		"another UID": {func(h noteRecreated) {
			e := event.UpdateEvent{ObjectOld: namespace("1"), ObjectNew: namespace("2")}
			if !namespaceChanged.Update(e) {
				t.Error("the event is not let pass")
			}
			h.Update(t.Context(), e, nil)
		}, 1},
		"the same": {func(h noteRecreated) {
			h.Update(t.Context(), event.UpdateEvent{ObjectOld: namespace("1"), ObjectNew: namespace("1")}, nil)
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			forgotten := 0
			all := func(context.Context, client.Object) []credential.Target { return []credential.Target{{Namespace: "a"}} }
			none := func(context.Context, client.Object) []credential.Target { return nil }
			c.event(noteRecreated{enqueue(none), func(credential.Target) { forgotten++ }, all})
			if forgotten != c.want {
				t.Errorf("forgotten %d times, want %d", forgotten, c.want)
			}
		})
	}
}

// What was found in the way in one namespace is not in the way in its successor.
func TestAStandoffEndsWithItsNamespace(t *testing.T) {
	w, ns := newWorld(t)
	foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: ns}}
	w.must(w.admin.Create(t.Context(), foreign))
	target := w.apply(ns, nil, registry("prod", "eu-west-1"))
	w.run(target)
	w.must(w.admin.Delete(t.Context(), foreign))
	w.Forget(target)
	w.run(target)
	if len(tokens(t, w.secret(target))) != 1 {
		t.Error("not served")
	}
}
