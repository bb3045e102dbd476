package why

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/dockerconfig"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/node"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/probe"
	"github.com/regcred/regcred/controllers/credential"
	"github.com/regcred/regcred/controllers/pullsecret"
)

// facts are what is read of a cluster, each thing once.
type facts struct {
	k           *cluster.Cluster
	credentials []*cluster.Credential
	nodes       node.Identities
	// prober asks registries; nil if nobody wants that.
	prober *probe.Prober
	// events are the kubelet's last words, by pod and image.
	events map[event]said

	secrets    map[types.NamespacedName]*secret
	accounts   map[types.NamespacedName]*account
	namespaces map[string]*corev1.Namespace
}

type event struct{ uid, image string }

type said struct {
	at   time.Time
	text string
}

// secret is a pull Secret as it was read.
type secret struct {
	presence cluster.Presence
	config   dockerconfig.Config
	// err is why no kubelet can use it.
	err error
	// metadata has the records, for those that a credential keeps.
	metadata *metav1.PartialObjectMetadata
}

// account is a ServiceAccount as it was read.
type account struct {
	presence cluster.Presence
	object   *corev1.ServiceAccount
	linked   []string
}

func newFacts(k *cluster.Cluster) *facts {
	return &facts{
		k: k, events: map[event]said{}, secrets: map[types.NamespacedName]*secret{}, accounts: map[types.NamespacedName]*account{},
		namespaces: map[string]*corev1.Namespace{},
	}
}

func (f *facts) secret(ctx context.Context, namespace, name string) (*secret, error) {
	key := types.NamespacedName{Namespace: namespace, Name: name}
	if known := f.secrets[key]; known != nil {
		return known, nil
	}
	o, s := &corev1.Secret{}, &secret{}
	var err error
	if s.presence, err = f.k.Read(ctx, namespace, name, o); err != nil {
		return nil, err
	}
	if s.presence == cluster.Present {
		s = secretOf(o)
	}
	f.secrets[key] = s
	return s, nil
}

func secretOf(o *corev1.Secret) *secret {
	s := &secret{presence: cluster.Present, metadata: &metav1.PartialObjectMetadata{ObjectMeta: o.ObjectMeta}}
	s.config, s.err = dockerconfig.Parse(o)
	return s
}

func (f *facts) account(ctx context.Context, namespace, name string) (*account, error) {
	key := types.NamespacedName{Namespace: namespace, Name: name}
	if known := f.accounts[key]; known != nil {
		return known, nil
	}
	a := &account{object: &corev1.ServiceAccount{}}
	var err error
	if a.presence, err = f.k.Read(ctx, namespace, name, a.object); err != nil {
		return nil, err
	}
	for _, ref := range a.object.ImagePullSecrets {
		a.linked = append(a.linked, ref.Name)
	}
	f.accounts[key] = a
	return a, nil
}

// serving are the credentials that are to have a Secret in the namespace, as far as that can be known.
func (f *facts) serving(ctx context.Context, namespace string) ([]*cluster.Credential, error) {
	ns, known := f.namespaces[namespace]
	if !known {
		ns = &corev1.Namespace{}
		there, err := f.k.Read(ctx, "", namespace, ns)
		if err != nil {
			return nil, err
		}
		if there != cluster.Present {
			ns = &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
		}
		f.namespaces[namespace] = ns
	}
	var all []*cluster.Credential
	for _, c := range f.credentials {
		if own, err := credential.Of(c.Object); err == nil && own.Selects(ns) {
			all = append(all, c)
		}
	}
	return all, nil
}

// record is what the Secret says of an entry of the credential, if that can be believed.
func (s *secret) record(c *cluster.Credential, entry string, now time.Time) (pullsecret.Record, bool) {
	owner := pullsecret.Owner{Kind: c.Kind, Name: c.GetName(), UID: c.GetUID()}
	if s.presence != cluster.Present || !pullsecret.Trusted(owner, s.metadata) {
		return pullsecret.Record{}, false
	}
	record, known := pullsecret.Read(s.metadata, now).Records[entry]
	return record, known
}
