package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
)

// Credential is a credential of either kind.
type Credential struct {
	client.Object
	Kind   string
	Spec   *v1alpha1.CredentialSpec
	Status *v1alpha1.CredentialStatus
	// Cluster is the status over the namespaces; nil for a RegistryCredential.
	Cluster *v1alpha1.ClusterCredentialStatus
}

// CredentialOf is nil if the object is none.
func CredentialOf(o client.Object) *Credential {
	switch o := o.(type) {
	case *v1alpha1.RegistryCredential:
		return &Credential{o, v1alpha1.KindRegistryCredential, &o.Spec, &o.Status, nil}
	case *v1alpha1.ClusterRegistryCredential:
		return &Credential{o, v1alpha1.KindClusterRegistryCredential, &o.Spec.CredentialSpec, &o.Status.CredentialStatus, &o.Status}
	default:
		return nil
	}
}

// Ref is the name of the credential as the commands take it.
func (c *Credential) Ref() Ref { return Ref{c.Kind, c.GetNamespace(), c.GetName()} }

// Ref names a credential. Kind is empty if it is not known.
type Ref struct {
	Kind, Namespace, Name string
}

// The forms of kinds in front of a name.
var shortNames = map[string]string{
	"regcred": v1alpha1.KindRegistryCredential, "registrycredential": v1alpha1.KindRegistryCredential, "registrycredentials": v1alpha1.KindRegistryCredential,
	"cregcred": v1alpha1.KindClusterRegistryCredential, "clusterregistrycredential": v1alpha1.KindClusterRegistryCredential,
	"clusterregistrycredentials": v1alpha1.KindClusterRegistryCredential,
}

func (r Ref) String() string {
	if r.Kind == v1alpha1.KindClusterRegistryCredential {
		return "cregcred/" + r.Name
	}
	return "regcred/" + r.Name
}

// Long is the name with the namespace, as an argument of a command.
func (r Ref) Long() string {
	if r.Namespace == "" {
		return r.String()
	}
	return r.String() + " -n " + r.Namespace
}

// ParseRef reads regcred/x, cregcred/x or x.
func ParseRef(text, namespace string) (Ref, error) {
	kind, name, both := strings.Cut(text, "/")
	if !both {
		return Ref{"", namespace, text}, nil
	}
	long, known := shortNames[strings.TrimSuffix(strings.ToLower(kind), ".regcred.dev")]
	if !known || name == "" {
		return Ref{}, fmt.Errorf("%q names no credential: write regcred/NAME, cregcred/NAME or NAME", text)
	}
	if long == v1alpha1.KindClusterRegistryCredential {
		namespace = ""
	}
	return Ref{long, namespace, name}, nil
}

// Find reads the credential of a reference. A bare name is sought among both kinds.
func (c *Cluster) Find(ctx context.Context, ref Ref) (*Credential, error) {
	var found []*Credential
	var unread []string
	for _, o := range []client.Object{&v1alpha1.RegistryCredential{}, &v1alpha1.ClusterRegistryCredential{}} {
		candidate, key := CredentialOf(o), client.ObjectKey{Name: ref.Name}
		if ref.Kind != "" && ref.Kind != candidate.Kind {
			continue
		}
		if candidate.Kind == v1alpha1.KindRegistryCredential {
			key.Namespace = ref.Namespace
		}
		switch err := c.Get(ctx, key, o); {
		case err == nil:
			found = append(found, candidate)
		case apierrors.IsForbidden(err):
			unread = append(unread, Gap{"get", ResourceOf(o), key.Namespace}.String())
		case apierrors.IsNotFound(err):
		default:
			return nil, fmt.Errorf("reading %s: %w", Ref{candidate.Kind, key.Namespace, key.Name}, err)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0 && len(unread) > 0:
		return nil, cli.Unread(fmt.Sprintf("no credential %s was found; %s", ref.Name, strings.Join(unread, "; ")))
	case len(found) == 0:
		return nil, c.notFound(ctx, ref)
	default:
		return nil, fmt.Errorf("%s is the name of two credentials: write %s or %s", ref.Name, found[0].Ref(), found[1].Ref())
	}
}

// NotFound is of a name that no credential has.
type NotFound string

func (n NotFound) Error() string { return string(n) }

// notFound names the credential that comes nearest, if one comes near.
func (c *Cluster) notFound(ctx context.Context, ref Ref) error {
	where := "the cluster"
	if ref.Namespace != "" {
		where = "namespace " + ref.Namespace
	}
	missing := fmt.Sprintf("there is no credential %s in %s", ref.Name, where)
	all, err := c.Credentials(ctx, "")
	if errors.Is(err, ErrNotInstalled) {
		return err
	}
	all = slices.DeleteFunc(all, func(o *Credential) bool { return !near(o.GetName(), ref.Name) })
	if err != nil || len(all) == 0 {
		return NotFound(missing)
	}
	nearest := slices.MinFunc(all, func(a, b *Credential) int {
		return cmp.Compare(distance(a.GetName(), ref.Name), distance(b.GetName(), ref.Name))
	})
	return NotFound(missing + ": did you mean " + nearest.Ref().Long() + "?")
}

// near says whether one name may be meant by the other: a third of it is mistyped at most, or it is the beginning.
func near(name, typed string) bool {
	return distance(name, typed) <= max(1, len(typed)/3) || len(typed) > 2 && strings.HasPrefix(name, typed)
}

// distance is how many letters must be added, removed or replaced to make one word of the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal, row[j+1] = row[j+1], min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Credentials lists the credentials of both kinds: those of one namespace and of the cluster, or all. Where the caller may not list one of
// the kinds, that is a gap.
func (c *Cluster) Credentials(ctx context.Context, namespace string) ([]*Credential, error) {
	var all []*Credential
	_, err := Each(ctx, c, &v1alpha1.ClusterRegistryCredentialList{}, "", func(o *v1alpha1.ClusterRegistryCredential) error {
		all = append(all, CredentialOf(o))
		return nil
	})
	if err != nil {
		return nil, err
	}
	_, err = Each(ctx, c, &v1alpha1.RegistryCredentialList{}, namespace, func(o *v1alpha1.RegistryCredential) error {
		all = append(all, CredentialOf(o))
		return nil
	})
	return all, err
}

// Named reads the credential that an argument names.
func (c *Cluster) Named(ctx context.Context, e *cli.Env, argument string) (*Credential, error) {
	namespace, err := e.Namespace()
	if err != nil {
		return nil, err
	}
	ref, err := ParseRef(argument, namespace)
	if err != nil {
		return nil, err
	}
	return c.Find(ctx, ref)
}

// Current are the credentials of a reference by name: the one that it names or, without a name, those of both kinds in its namespace.
func (c *Cluster) Current(ctx context.Context, of Ref) (map[Ref]*Credential, error) {
	found := map[Ref]*Credential{}
	if of.Name != "" {
		one, err := c.Find(ctx, of)
		if err == nil {
			found[one.Ref()] = one
		}
		return found, err
	}
	all, err := c.Credentials(ctx, of.Namespace)
	for _, o := range all {
		found[o.Ref()] = o
	}
	return found, err
}
