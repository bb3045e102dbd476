package anyorder

import (
	"fmt"
	"math/rand/v2"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/lab"
)

// history is a world that is changed by and by.
type history struct {
	*world
	seed   uint64
	wishes *wishes
	chance *rand.Rand
	// did is what was done, in words.
	did []string
	// occupied are the namespaces where others have a Secret in the way, and valid is whether identities are.
	occupied map[string]bool
	valid    bool
	// damage counts what was done to each Secret and ServiceAccount, that of others being repaired ever more rarely.
	damage map[string]int
}

// edits are what people and programs do. Each returns what it did; empty if there was nothing to do.
var edits = []func(*history) string{
	(*history).editSpec, (*history).editSpec, (*history).editSpec, (*history).editSpec,
	(*history).createOrDelete, (*history).label, (*history).labelAccount, (*history).recreateAccount, (*history).replaceLinks, (*history).replaceLinks,
	(*history).tamper, (*history).tamper, (*history).tamper, (*history).occupy, (*history).changeIdentity, (*history).crash,
}

func (h *history) pick(n int) int { return h.chance.IntN(n) }

func (h *history) one(names []string) string { return names[h.pick(len(names))] }

// either credential, with what is wished of it.
func (h *history) credential() (name string, s *spec, made func(spec) client.Object) {
	if h.pick(3) > 0 {
		return many, &h.wishes.many, h.many
	}
	return own, &h.wishes.own, h.own
}

var regions = []string{"eu-west-1", "us-east-1", "eu-central-1"}

func (h *history) editSpec() string {
	name, s, made := h.credential()
	if !s.exists {
		return ""
	}
	var what string
	switch h.pick(8) {
	case 0, 1:
		order := slices.Clone(regions)
		h.chance.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		s.regions = order[:1+h.pick(2)]
		what = fmt.Sprint("registries ", s.regions)
	case 2:
		s.template = h.one([]string{"", "red", "blue"})
		what = "template " + s.template
	case 3:
		s.accounts = h.pick(4)
		what = fmt.Sprint("serviceAccounts ", s.accounts)
	case 4:
		s.retain = !s.retain
		what = fmt.Sprint("retain ", s.retain)
	case 5:
		s.suspended = !s.suspended
		what = fmt.Sprint("suspend ", s.suspended)
	case 6:
		s.overridden = !s.overridden
		what = fmt.Sprint("override ", s.overridden)
	default:
		s.refresh = fmt.Sprint("request-", len(h.did))
		what = "refresh " + s.refresh
	}
	h.update(made(*s))
	return name + ": " + what
}

// update makes a credential what it is to be, whoever has written its status meanwhile.
func (h *history) update(o client.Object) {
	h.Helper()
	for {
		live := o.DeepCopyObject().(client.Object)
		h.must(cluster.Client.Get(h.Context(), client.ObjectKeyFromObject(o), live))
		o.SetResourceVersion(live.GetResourceVersion())
		err := cluster.Client.Update(h.Context(), o)
		if apierrors.IsConflict(err) {
			continue
		}
		h.must(err)
		return
	}
}

// createOrDelete does not delete what is retained, or was: what is left of that is no wish of anybody.
func (h *history) createOrDelete() string {
	name, s, made := h.credential()
	retained := slices.Contains(h.did, name+": retain true")
	if !s.exists {
		s.exists = true
		h.must(cluster.Client.Create(h.Context(), made(*s)))
		return name + ": created"
	}
	if s.suspended || retained {
		return ""
	}
	h.must(cluster.Client.Delete(h.Context(), made(*s)))
	*s = spec{regions: s.regions, accounts: s.accounts, template: s.template}
	return name + ": deleted"
}

func (h *history) patch(o client.Object, merge string) {
	h.Helper()
	h.must(cluster.Client.Patch(h.Context(), o, client.RawPatch(types.MergePatchType, []byte(merge))))
}

func valueIf(yes bool, value string) string {
	if yes {
		return `"` + value + `"`
	}
	return "null"
}

func (h *history) label() string {
	ns := h.one([]string{first, second})
	p := h.wishes.places[ns]
	if h.pick(3) > 0 {
		p.selected = !p.selected
	} else {
		p.alone = !p.alone
	}
	return h.setLabels(ns, p)
}

func (h *history) setLabels(ns string, p *place) string {
	h.Helper()
	h.patch(h.namespace(ns, p), fmt.Sprintf(`{"metadata":{"labels":{%q:%s,%q:%s}}}`, labelWorld, valueIf(p.selected, h.name),
		v1alpha1.LabelLink, valueIf(p.alone, v1alpha1.LabelLinkNever)))
	return fmt.Sprintf("namespace %s: selected %t, left alone %t", ns, p.selected, p.alone)
}

// someone is a ServiceAccount that is there.
func (h *history) someone() (ns, name string, a *account) {
	ns, name = h.one([]string{first, second}), h.one([]string{builder, runner})
	if a = h.wishes.places[ns].accounts[name]; !a.exists {
		return ns, name, nil
	}
	return ns, name, a
}

func (h *history) labelAccount() string {
	ns, name, a := h.someone()
	if a == nil {
		return ""
	}
	if h.pick(2) == 0 {
		a.labelled = !a.labelled
	} else {
		a.alone = !a.alone
	}
	return h.setAccountLabels(ns, name, a)
}

func (h *history) setAccountLabels(ns, name string, a *account) string {
	h.Helper()
	h.patch(h.account(ns, name, a), fmt.Sprintf(`{"metadata":{"labels":{"pulls":%s,%q:%s}}}`, valueIf(a.labelled, "yes"),
		v1alpha1.LabelLink, valueIf(a.alone, v1alpha1.LabelLinkNever)))
	return fmt.Sprintf("ServiceAccount %s/%s: labelled %t, left alone %t", ns, name, a.labelled, a.alone)
}

func (h *history) recreateAccount() string {
	ns, name := h.one([]string{first, second}), h.one([]string{builder, runner})
	a := h.wishes.places[ns].accounts[name]
	if a.exists = !a.exists; a.exists {
		h.must(cluster.Client.Create(h.Context(), h.account(ns, name, a)))
		return fmt.Sprintf("ServiceAccount %s/%s: created", ns, name)
	}
	h.must(cluster.Client.Delete(h.Context(), h.account(ns, name, a)))
	return fmt.Sprintf("ServiceAccount %s/%s: deleted", ns, name)
}

// replaceLinks writes the whole list, as Helm and Argo CD do.
func (h *history) replaceLinks() string {
	ns, name, a := h.someone()
	if a == nil || !h.spare("account "+ns+"/"+name) {
		return ""
	}
	list := "null"
	if a.theirs = h.pick(2) == 0; a.theirs {
		list = `[{"name":"` + theirs + `"}]`
	}
	h.patch(h.account(ns, name, a), `{"imagePullSecrets":`+list+`}`)
	return fmt.Sprintf("ServiceAccount %s/%s: imagePullSecrets %s", ns, name, list)
}

// spare says whether something may be damaged once more without that its repair waits for minutes.
func (h *history) spare(what string) bool {
	h.damage[what]++
	return h.damage[what] <= 4
}

func (h *history) tamper() string {
	name, ns := many, h.one([]string{first, second})
	if h.pick(3) == 0 {
		name, ns = own, first
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: h.in(ns), Name: name}}
	if h.occupied[ns] && name == many || !h.spare("Secret "+ns+"/"+name) {
		return ""
	}
	var err error
	var what string
	merge := func(text string) {
		what, err = text, cluster.Client.Patch(h.Context(), secret, client.RawPatch(types.MergePatchType, []byte(text)))
	}
	kinds := 6
	if slices.Contains(h.did, name+": retain true") {
		kinds = 5 // without its annotations, one that has no owner is anybody's
	}
	switch h.pick(kinds) {
	case 0:
		what, err = "deleted", cluster.Client.Delete(h.Context(), secret)
	case 1:
		merge(`{"stringData":{".dockerconfigjson":"{\"auths\":{}}"}}`)
	case 2:
		merge(`{"metadata":{"labels":null}}`)
	case 3:
		merge(`{"metadata":{"annotations":{"regcred.dev/registries":"{}"}}}`)
	case 4:
		merge(`{"stringData":{"more":"of others"}}`)
	default:
		merge(`{"metadata":{"annotations":null}}`)
	}
	if apierrors.IsNotFound(err) {
		return ""
	}
	h.must(err)
	return fmt.Sprintf("Secret %s/%s: %s", ns, name, what)
}

// occupy puts a Secret of others where the credential's is to be, if there is room, or takes it away.
func (h *history) occupy() string {
	ns := h.one([]string{first, second})
	others := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: h.in(ns), Name: many}, StringData: map[string]string{"of": "others"}}
	if h.occupied[ns] {
		delete(h.occupied, ns)
		h.must(cluster.Client.Delete(h.Context(), others))
		return fmt.Sprintf("Secret %s/%s: that of others is deleted", ns, many)
	}
	err := cluster.Client.Create(h.Context(), others)
	if apierrors.IsAlreadyExists(err) {
		return ""
	}
	h.must(err)
	h.occupied[ns] = true
	return fmt.Sprintf("Secret %s/%s: others have one there", ns, many)
}

// changeIdentity replaces the keys in an identity by others of the same user, or by keys of nobody.
func (h *history) changeIdentity() string {
	h.valid = !h.valid
	h.setIdentity()
	return fmt.Sprint("identity: valid ", h.valid)
}

func (h *history) setIdentity() {
	h.Helper()
	secret := h.user.SecretAccessKey
	if !h.valid {
		secret = "canary-of-nobody"
	}
	for namespace, name := range map[string]string{lab.Namespace: h.in(identity), h.in(first): identity} {
		h.patch(secretOf(namespace, name, nil), fmt.Sprintf(`{"stringData":{"AWS_SECRET_ACCESS_KEY":%q}}`, secret))
	}
}

// crash kills the controller, and starts another.
func (h *history) crash() string {
	if h.pick(2) == 0 {
		return ""
	}
	h.must(controller.Kill())
	h.must(startController(h.Context()))
	return "the controller is killed"
}
