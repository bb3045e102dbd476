package migrate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/node"
	"github.com/regcred/regcred/internal/partition"
)

// Plan is what to do.
type Plan struct {
	Found []Found `json:"found"`
	// Credentials replace what was found.
	Credentials []client.Object `json:"credentials"`
	// Adopt are the Secrets, as namespace/name, whose owners must consent.
	Adopt []string `json:"adopt"`
	// Incomplete are the Secrets that hold logins which no credential of the plan brings, OldType those of a type that no credential writes.
	Incomplete []string `json:"incomplete,omitempty"`
	OldType    []string `json:"oldType,omitempty"`
	// Notes are what somebody has to think about.
	Notes   []string `json:"notes,omitempty"`
	NotRead []string `json:"notRead,omitempty"`
}

// planOf makes the plan: a credential for each name of a Secret, of the cluster if the name is in several namespaces and means the same in all.
func planOf(f *findings) *Plan {
	p := &Plan{Found: f.tools, Credentials: []client.Object{}, Adopt: []string{}, Notes: f.notes, NotRead: f.notRead}
	byName := map[string][]secret{}
	for _, s := range f.secrets {
		byName[s.name] = append(byName[s.name], s)
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		group := byName[name]
		slices.SortFunc(group, func(a, b secret) int { return strings.Compare(a.namespace, b.namespace) })
		for _, alike := range alikes(group) {
			p.add(name, alike, f)
		}
	}
	for _, t := range p.Found {
		if len(p.Credentials) == 0 && !t.Suspended && t.runs() {
			p.note("%s %s goes on: no Secret was found that a credential could keep", t.Kind, t.where())
		}
	}
	return p
}

// alikes are the Secrets of one name by what one credential can keep: all, or each, where generators make different tokens for them.
func alikes(group []secret) [][]secret {
	for i := range group {
		if group[i].makes() != group[0].makes() {
			return slices.Collect(slices.Chunk(group, 1))
		}
	}
	return [][]secret{group}
}

// add adds what keeps the Secrets.
func (p *Plan) add(name string, group []secret, f *findings) {
	o := p.credential(name, group, f)
	if o == nil {
		return
	}
	p.Credentials = append(p.Credentials, o)
	for _, s := range group {
		if s.old {
			p.OldType = append(p.OldType, s.namespace+"/"+s.name)
			p.note("Secret %s/%s is of type %s, which no credential writes: replace it by one of type %s before it is handed over", s.namespace, s.name, corev1.SecretTypeDockercfg, corev1.SecretTypeDockerConfigJson)
		}
		p.Adopt = append(p.Adopt, s.namespace+"/"+s.name)
	}
}

func (p *Plan) note(format string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
}

// credential is what keeps the Secrets of one name; nil if nothing in them is of a cloud.
func (p *Plan) credential(name string, group []secret, f *findings) client.Object {
	spec := v1alpha1.CredentialSpec{Registries: p.registries(name, group)}
	if len(spec.Registries) == 0 {
		return nil
	}
	accounts := map[string]bool{}
	for _, s := range group {
		for _, account := range f.linked[s.namespace+"/"+s.name] {
			accounts[account] = true
		}
	}
	if len(accounts) > 0 {
		spec.ServiceAccounts = &v1alpha1.ServiceAccounts{Names: slices.Sorted(maps.Keys(accounts))}
	} else {
		p.note("no ServiceAccount names Secret %s: its credential links none, and pods go on naming it themselves", name)
	}
	if len(group) == 1 {
		namespace := group[0].namespace
		for i := range spec.Registries {
			if r := &spec.Registries[i]; r.Identity == nil && (r.ACR == nil || r.ACR.ManagedIdentity == "") {
				r.Identity = &v1alpha1.Identity{ServiceAccountRef: &v1alpha1.LocalReference{Name: accountOf(f.tools, namespace)}}
			}
		}
		p.identities(group[0].generators, namespace)
		return &v1alpha1.RegistryCredential{TypeMeta: typeOf(v1alpha1.KindRegistryCredential), ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, Spec: spec}
	}
	p.identities(group[0].generators, "")
	if slices.ContainsFunc(spec.Registries, func(r v1alpha1.Registry) bool { return r.Identity == nil }) {
		p.note("ClusterRegistryCredential %s uses the controller's own identity: give it one (kubectl regcred access prints how), or name a ServiceAccount in each entry", name)
	}
	return &v1alpha1.ClusterRegistryCredential{TypeMeta: typeOf(v1alpha1.KindClusterRegistryCredential), ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.ClusterCredentialSpec{CredentialSpec: spec, NamespaceSelector: p.selector(name, group)}}
}

func typeOf(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: kind}
}

// accountOf is the ServiceAccount of the CronJob of the namespace: whom the cloud trusts already.
func accountOf(tools []Found, namespace string) string {
	for _, t := range tools {
		if t.Namespace == namespace && t.Account != "" {
			return t.Account
		}
	}
	return "registry-pull"
}

// most is how many values a selector takes.
const most = 64

func (p *Plan) selector(name string, group []secret) v1alpha1.Selector {
	if len(group) > most {
		p.note("Secret %s is in %d namespaces, more than a selector can name: ClusterRegistryCredential %s selects all; label the namespaces and select them by that instead", name, len(group), name)
		return v1alpha1.Selector{}
	}
	var namespaces []string
	for _, s := range group {
		namespaces = append(namespaces, s.namespace)
	}
	return selectorOf(namespaces...)
}

// selectorOf selects namespaces by name.
func selectorOf(namespaces ...string) v1alpha1.Selector {
	var values []v1alpha1.LabelValue
	for _, name := range namespaces {
		values = append(values, v1alpha1.LabelValue(name))
	}
	return v1alpha1.Selector{MatchExpressions: []v1alpha1.SelectorRequirement{{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpIn, Values: values}}}
}

// registries are the entries for all hosts of the Secrets.
func (p *Plan) registries(name string, group []secret) []v1alpha1.Registry {
	hosts := map[string]bool{}
	for _, s := range group {
		for _, key := range s.config.Keys() {
			hosts[hostOf(key)] = true
		}
		for _, host := range s.hosts {
			hosts[host] = true
		}
	}
	entries := map[string]*v1alpha1.Registry{}
	for _, host := range slices.Sorted(maps.Keys(hosts)) {
		entry, cloud := EntryFor(host)
		switch {
		case !cloud:
			p.lacks(name, group, host)
		case entries[entry.Name] == nil:
			entries[entry.Name] = entry
		default:
			merge(entries[entry.Name], entry)
		}
	}
	for _, g := range group[0].generators { // the others' make the same
		p.generated(entries, g)
	}
	var all []v1alpha1.Registry
	for _, id := range slices.Sorted(maps.Keys(entries)) {
		all = append(all, *entries[id])
	}
	return all
}

// lacks notes that the Secrets hold a login that no cloud mints.
func (p *Plan) lacks(name string, group []secret, host string) {
	for _, s := range group {
		if full := s.namespace + "/" + s.name; !slices.Contains(p.Incomplete, full) {
			p.Incomplete = append(p.Incomplete, full)
		}
	}
	p.note("Secret %s also logs in to %s, which no cloud mints tokens for: keep that login in a Secret of its own with the label regcred.dev/secret=identity, and add an entry static for it before the Secret is handed over; an entry that is missing is taken out of the Secret", name, host)
}

// ecrPublicHost is the one host of ECR Public.
const ecrPublicHost = "public.ecr.aws"

// EntryFor is the registry entry for a host, and whether a cloud mints tokens for it.
func EntryFor(host string) (*v1alpha1.Registry, bool) {
	if host == ecrPublicHost {
		return &v1alpha1.Registry{Name: "ecr-public", ECRPublic: &v1alpha1.ECRPublic{}}, true
	}
	switch node.CloudOf(host) {
	case node.ECR:
		r, _ := partition.OfECRHost(host)
		name := "ecr-" + r.Region
		if r.FIPS {
			name = "ecr-fips-" + r.Region
		}
		return &v1alpha1.Registry{Name: name, ECR: &v1alpha1.ECR{Region: r.Region, Accounts: []string{r.Account}, FIPS: r.FIPS, DualStack: r.DualStack}}, true
	case node.Google:
		return &v1alpha1.Registry{Name: "google", ArtifactRegistry: &v1alpha1.ArtifactRegistry{Hosts: []string{host}}}, true
	case node.ACR:
		return &v1alpha1.Registry{Name: "acr-" + strings.Split(host, ".")[0], ACR: &v1alpha1.ACR{Registry: v1alpha1.Host(host)}}, true
	default:
		return nil, false
	}
}

// merge adds what another entry of the same name is for.
func merge(into, entry *v1alpha1.Registry) {
	switch {
	case entry.ECR != nil:
		into.ECR.Accounts = append(into.ECR.Accounts, entry.ECR.Accounts...)
	case entry.ArtifactRegistry != nil:
		into.ArtifactRegistry.Hosts = append(into.ArtifactRegistry.Hosts, entry.ArtifactRegistry.Hosts...)
	}
}

// hostOf is the host of a key of a docker config.
func hostOf(key string) string {
	key = strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
	host, _, _ := strings.Cut(key, "/")
	return host
}
