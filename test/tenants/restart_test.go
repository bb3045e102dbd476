package tenants

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/lab"
)

// No tenant is needed for this one: AWS shortens the life of its tokens while the controller is away. What it finds outlives all that it can
// get, and is replaced once all the same.
func TestARestartWithTokensThatLiveShorter(t *testing.T) {
	const name = "shorter"
	user := cloud.User{Account: cloud.DefaultAccount, Name: name, AccessKeyID: "AKIASHORTER000000000", SecretAccessKey: cloud.CanarySTS + name, MayGetToken: true, Pull: []string{"*"}}
	world.AWS.AddUser(user)
	home := &tenant{T: t, ns: lab.Namespace, edit: world.Client, admin: world.Client, user: user}
	home.keyed(name + "-key")
	c := &v1alpha1.ClusterRegistryCredential{ObjectMeta: metav1.ObjectMeta{Name: name}}
	c.Spec.NamespaceSelector.MatchLabels = map[string]v1alpha1.LabelValue{"pull": name}
	c.Spec.Registries = []v1alpha1.Registry{ecr(secretRef(name + "-key"))}
	var members []*tenant
	for i := range 4 {
		members = append(members, newTenant(t, fmt.Sprintf("%s-%d", name, i), map[string]string{"pull": name}))
		t.Cleanup(members[i].leave)
	}
	home.create(c)
	t.Cleanup(func() { home.must(world.Client.Delete(context.WithoutCancel(t.Context()), c)) })
	old := map[string]string{}
	for _, m := range members {
		m.pulls(name)
		old[m.ns] = m.version(name)
	}

	home.must(controller.Stop())
	world.AWS.SetTokenLife(time.Hour)
	t.Cleanup(func() { world.AWS.SetTokenLife(0) })
	clock.Pass(6*time.Hour + 30*time.Minute) // more than half of the life of a token, and less than all of it
	before := mints(user)
	home.must(startController(t.Context()))
	for _, m := range members {
		m.eventually("a new token", func() bool { return m.version(name) != old[m.ns] })
		m.pulls(name)
	}
	for range 4 {
		waitFor(t, quiet)
	}
	if n := mints(user) - before; n > 2 {
		t.Errorf("%d tokens were got for one source", n)
	}
	home.eventually("the credential to be Ready", func() bool { return strings.HasPrefix(home.readiness(name), "True "+v1alpha1.ReasonCurrent) })
}

// readiness is the condition Ready of a cluster's credential.
func (u *tenant) readiness(name string) string {
	u.Helper()
	c := &v1alpha1.ClusterRegistryCredential{}
	u.must(world.Client.Get(u.Context(), client.ObjectKey{Name: name}, c))
	for _, condition := range c.Status.Conditions {
		if condition.Type == v1alpha1.ConditionReady {
			return string(condition.Status) + " " + condition.Reason + ": " + condition.Message
		}
	}
	return ""
}
