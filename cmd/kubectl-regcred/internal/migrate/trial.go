package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/access"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
)

const (
	// trialSuffix ends the names of trials, and of their Secrets.
	trialSuffix = "-trial"
	// longestName is how long the name of a credential may be.
	longestName = 63
)

// try has the controller mint with the identity of every credential, before anything that pods use is changed. Its error is what keeps it
// from that. The trials are deleted again, however it ends.
func (m *migration) try(ctx context.Context, p *Plan) (err error) {
	var trials []Object
	defer func() {
		err = errors.Join(err, m.remove(context.WithoutCancel(ctx), trials))
	}()
	for _, o := range p.Credentials {
		trial := trialOf(o, p.Adopt)
		if err := m.k.Create(ctx, trial); err != nil {
			return fmt.Errorf("creating %s: %w", cluster.CredentialOf(trial).Ref().Long(), err)
		}
		trials = append(trials, objectOf(trial))
	}
	m.say("waiting until the identities have minted a token each")
	return m.settled(ctx, trials, func(_ *cluster.Credential, ready *metav1.Condition) (bool, error) {
		switch {
		case ready.Status == metav1.ConditionTrue:
			return ready.Reason == v1alpha1.ReasonCurrent, nil
		case slices.Contains(passing, ready.Reason):
			return false, nil
		}
		return false, errors.New("the identity cannot mint")
	})
}

// passing are the reasons that may go by themselves.
var passing = []string{v1alpha1.ReasonProgressing, v1alpha1.ReasonThrottled, v1alpha1.ReasonUnavailable}

// trialOf is a credential with the identities and the registries of another, in one of its namespaces. Nothing is linked to its Secret.
func trialOf(o client.Object, adopt []string) client.Object {
	trial := o.DeepCopyObject().(client.Object)
	name := o.GetName()
	trial.SetName(strings.TrimRight(name[:min(len(name), longestName-len(trialSuffix))], ".-") + trialSuffix)
	trial.SetLabels(map[string]string{recordLabel: recordLabelValue})
	spec := cluster.CredentialOf(trial).Spec
	spec.SecretName, spec.ServiceAccounts = "", nil
	if all, ok := trial.(*v1alpha1.ClusterRegistryCredential); ok {
		first := slices.IndexFunc(adopt, func(of string) bool { return strings.HasSuffix(of, "/"+name) })
		namespace, _, _ := strings.Cut(adopt[first], "/")
		all.Spec.NamespaceSelector = selectorOf(namespace)
	}
	return trial
}

// needs is what the clouds must allow to the identities.
func (m *migration) needs(ctx context.Context, p *Plan) []access.Access {
	var all []access.Access
	options := access.Options{Issuer: access.Issuer(ctx, m.k), Home: m.home}
	for _, o := range p.Credentials {
		credential := cluster.CredentialOf(o)
		// Without it what they name stands in capitals.
		options.Accounts, _ = access.AccountsOf(ctx, m.k, credential, m.home)
		all = append(all, access.Of(credential, options))
	}
	return all
}
