package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/link"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/controllers/view"
)

var credentials = []string{v1alpha1.KindClusterRegistryCredential, v1alpha1.KindRegistryCredential}

// anySecret is one that a tenant may have made, of ours or of its own.
func anySecret(t *rapid.T, ns, name string) *corev1.Secret {
	s := pullSecret(ns, name)
	s.Labels, s.Annotations, s.OwnerReferences = map[string]string{}, map[string]string{}, nil
	some := func(what string, values ...string) string { return rapid.SampledFrom(append(values, "")).Draw(t, what) }
	put := func(into map[string]string, key, value string) {
		if value != "" {
			into[key] = value
		}
	}
	put(s.Labels, v1alpha1.LabelSecret, some("label", v1alpha1.LabelSecretTarget, v1alpha1.LabelSecretIdentity, "other"))
	put(s.Labels, "team", some("team", "a"))
	put(s.Annotations, v1alpha1.AnnotationAdopt, some("adopt", "true", "false"))
	put(s.Annotations, v1alpha1.AnnotationRetain, some("retain", "true", "false"))
	put(s.Annotations, v1alpha1.AnnotationKeptBy, some("keptBy", credentials[0]+"/mine", credentials[1]+"/mine", credentials[0]+"/other", "somebody"))
	put(s.Annotations, pullsecret.AnnotationRegistries, some("record", "[]", "{"))
	put(s.Annotations, "note", some("note", "theirs"))
	for _, controls := range rapid.SampledFrom([][]bool{nil, {true}, {false}, {true, false}}).Draw(t, "owners") {
		ref := metav1.OwnerReference{APIVersion: v1alpha1.GroupVersion.String(), Name: rapid.SampledFrom([]string{"mine", "other"}).Draw(t, "owner"), UID: "u"}
		ref.Kind = rapid.SampledFrom(append(credentials, "ConfigMap")).Draw(t, "kind")
		if ref.Kind == "ConfigMap" {
			ref.APIVersion = "v1"
		}
		if !controls {
			ref.Name, ref.UID = "beside", "v"
		}
		ref.Controller = &controls
		s.OwnerReferences = append(s.OwnerReferences, ref)
	}
	if rapid.Bool().Draw(t, "finalizer") {
		s.Finalizers = []string{"example.com/theirs"}
	}
	return s
}

// consented says whether the controller may write the Secret: it is new, ours or handed over. What a Secret without an owner holds, and the
// name of whoever keeps it, the policy does not ask.
func consented(s *corev1.Secret) bool {
	if owner := metav1.GetControllerOf(s); owner != nil {
		return slices.Contains(credentials, owner.Kind)
	}
	_, kept := credential.TargetOf(s)
	return kept || s.Labels[v1alpha1.LabelSecret] == v1alpha1.LabelSecretTarget || s.Annotations[v1alpha1.AnnotationAdopt] == "true"
}

// wants says whether the controller would write the Secret for the owner.
func wants(owner pullsecret.Owner, s *metav1.PartialObjectMetadata) bool {
	if pullsecret.Ours(owner, s) {
		return true
	}
	_, kept := credential.TargetOf(s)
	return metav1.GetControllerOf(s) == nil && !kept && s.Annotations[v1alpha1.AnnotationAdopt] == "true"
}

// TestThePoliciesAndTheControllerAgreeOnSecrets: what the controller wants to write is admitted, and what nobody gave it is refused,
// whatever the Secret was before and whatever the credential says.
func TestThePoliciesAndTheControllerAgreeOnSecrets(t *testing.T) {
	withPolicies(t, true)
	ns := namespace(t)
	admitted, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		name := "secret-" + fmt.Sprint(time.Now().UnixNano())
		owner := pullsecret.Owner{
			Kind: rapid.SampledFrom(credentials).Draw(t, "of"), Name: "mine", UID: "b6b2b1a5-7d1f-4a55-8e5e-3d0f7a6f0001", Retain: rapid.Bool().Draw(t, "retains"),
		}
		if rapid.Bool().Draw(t, "template") {
			owner.Template = pullsecret.Template{Labels: map[string]string{"team": "b"}, Annotations: map[string]string{"note": "ours"}}
		}
		var existing *metav1.PartialObjectMetadata
		before := anySecret(t, ns, name)
		if rapid.Bool().Draw(t, "exists") {
			create(t, before)
			existing = view.SecretMetadata()
			check(t, admin.Get(t.Context(), client.ObjectKeyFromObject(before), existing))
		}
		err := write(t, owner, before, existing)
		switch {
		case existing == nil || wants(owner, existing):
			admitted++
			check(t, err)
		case !consented(before):
			if refused++; !denies(secrets, err) {
				t.Fatalf("the policy lets the controller take %s: %v", text(before), err)
			}
		}
		if existing != nil && pullsecret.Kept(existing) && isTarget(existing) {
			patch, err := pullsecret.GiveBack(existing)
			check(t, err)
			check(t, thief.Patch(t.Context(), before.DeepCopy(), client.RawPatch("application/merge-patch+json", patch), client.DryRunAll))
		}
	})
	if admitted < 3 || refused < 3 { // of a hundred at random
		t.Errorf("%d writes had to be admitted and %d refused: that proves little", admitted, refused)
	}
}

func isTarget(s metav1.Object) bool {
	_, ok := credential.TargetOf(s)
	return ok && s.GetLabels()[v1alpha1.LabelSecret] == v1alpha1.LabelSecretTarget
}

func write(t *rapid.T, owner pullsecret.Owner, name *corev1.Secret, existing *metav1.PartialObjectMetadata) error {
	entry := pullsecret.Part{
		Record: pullsecret.Record{Name: "prod", Source: "0a", Hosts: []string{"a.example"}, IssuedAt: time.Unix(0, 0), ExpiresAt: time.Unix(3600, 0)},
		Auths:  pullsecret.Auths{"a.example": {Auth: "YTpi"}},
	}
	secret, err := pullsecret.Compose(client.ObjectKeyFromObject(name), owner, existing, []pullsecret.Part{entry})
	check(t, err)
	if existing == nil {
		return thief.Create(t.Context(), secret, client.DryRunAll)
	}
	return thief.Update(t.Context(), secret, client.DryRunAll)
}

// TestThePoliciesAndTheControllerAgreeOnLinks: whatever is on a ServiceAccount, the controller's own patch is admitted, and touches nobody
// else's links; one that takes another link off is refused.
func TestThePoliciesAndTheControllerAgreeOnLinks(t *testing.T) {
	withPolicies(t, true)
	rapid.Check(t, func(t *rapid.T) {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "links-"}}
		create(t, ns)
		target := credential.Target{Credential: credential.Key{Name: "mine"}, Namespace: ns.Name, Name: rapid.SampledFrom([]string{"mine", "named"}).Draw(t, "secretName")}
		sa := account(ns.Name, "puller")
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"theirs", "more", target.Name}), 0, 3, rapid.ID[string]).Draw(t, "linked") {
			sa.ImagePullSecrets = append(sa.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
		}
		if record := rapid.SampledFrom([]string{"", target.LinkRecord(), credentials[1], "forged"}).Draw(t, "recorded"); record != "" {
			sa.Annotations = map[string]string{v1alpha1.AnnotationLinkPrefix + target.Name: record}
		}
		leftAlone := rapid.Bool().Draw(t, "left alone")
		if leftAlone {
			sa.Labels = map[string]string{v1alpha1.LabelLink: v1alpha1.LabelLinkNever}
		}
		create(t, sa)
		theirs := others(sa, target.Name)
		if !leftAlone && rapid.Bool().Draw(t, "wanted") {
			relink(t, target, &target)
		} else {
			relink(t, target, nil)
		}
		check(t, admin.Get(t.Context(), client.ObjectKeyFromObject(sa), sa))
		if after := others(sa, target.Name); !slices.Equal(theirs, after) {
			t.Fatalf("the others' links were %v and are %v", theirs, after)
		}
		if len(theirs) > 0 {
			patch := client.RawPatch("application/merge-patch+json", []byte(`{"imagePullSecrets":null}`))
			if err := thief.Patch(t.Context(), account(ns.Name, "puller"), patch, client.DryRunAll); !denies("regcred-service-accounts", err) {
				t.Fatalf("the policy lets the controller unlink %v: %v", theirs, err)
			}
		}
	})
}

func relink(t *rapid.T, target credential.Target, by *credential.Target) {
	wanted := func(sa metav1.Object) (*credential.Target, error) {
		if sa.GetName() != "puller" {
			return nil, nil
		}
		return by, nil
	}
	accounts := func(ctx context.Context, namespace string) ([]*corev1.ServiceAccount, error) {
		return view.ServiceAccounts(ctx, admin, namespace)
	}
	dead := func(t credential.Target) bool { return by == nil && t == target }
	links, lost := link.New(clock.RealClock{}).Sync(t.Context(), link.API{Accounts: accounts, Live: admin, Client: thief}, target, link.Wishes{Wanted: wanted, Dead: dead})
	if links.Failure != nil {
		t.Fatalf("the policy refuses a link: %s", links.Failure.Message)
	}
	check(t, lost)
}

// others are the links that are not the target's.
func others(sa *corev1.ServiceAccount, target string) []corev1.LocalObjectReference {
	return slices.DeleteFunc(slices.Clone(sa.ImagePullSecrets), func(r corev1.LocalObjectReference) bool { return r.Name == target })
}

// create creates what goes when its check ends.
func create(t *rapid.T, o client.Object) {
	check(t, admin.Create(t.Context(), o))
	t.Cleanup(func() { _ = admin.Delete(context.WithoutCancel(t.Context()), o.DeepCopyObject().(client.Object)) })
}

func check(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

func text(o any) string {
	raw, err := json.Marshal(o)
	return fmt.Sprint(string(raw), err)
}
