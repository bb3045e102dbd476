package main

import (
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/migrate"
)

// What somebody has changed since is not deleted with the credential, nor run again, unseen.
func TestARollbackNamesWhatHasChanged(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*testing.T, *move)
		why    string
	}{
		"the Secret is another":       {anew, "pull was deleted and made anew"},
		"the credential brings more":  {widened, "has another spec than before"},
		"the credential is gone":      {gone, "RegistryCredential move-"},
		"the CronJob runs other Jobs": {edited, "runs other Jobs than before"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMove(t, now.Add(6*time.Hour))
			if r := m.run("", "--apply", "--yes", "--timeout=1m"); r.code != cli.Fine {
				t.Fatalf("%+v", r)
			}
			c.change(t, m)
			there := m.credential()
			r := m.run("", "--rollback", "--yes", "--timeout=1m", "-o", "json")
			if got := outcome(t, r); r.code != cli.Findings || got.Outcome != migrate.Untouched || !strings.Contains(strings.Join(got.Why, " "), c.why) || !m.suspended() || m.credential() != there {
				t.Errorf("%+v", r)
			}
		})
	}
}

func anew(t *testing.T, m *move) {
	t.Helper()
	s := m.secret()
	remove(t, s)
	s.ResourceVersion, s.UID = "", ""
	create(t, s)
}

func widened(t *testing.T, m *move) {
	t.Helper()
	c := &v1alpha1.RegistryCredential{}
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: m.namespace, Name: "pull"}, c); err != nil {
		t.Fatal(err)
	}
	c.Spec.Registries = append(c.Spec.Registries, v1alpha1.Registry{Name: "more", ECR: &v1alpha1.ECR{Region: "eu-north-1"}})
	if err := admin.Update(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func gone(t *testing.T, m *move) {
	t.Helper()
	remove(t, &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: "pull"}})
}

func edited(t *testing.T, m *move) {
	t.Helper()
	j := &batchv1.CronJob{}
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: m.namespace, Name: "renew"}, j); err != nil {
		t.Fatal(err)
	}
	j.Spec.JobTemplate.Spec.Template.Spec.Containers[0].Image = "example.com/other"
	if err := admin.Update(t.Context(), j); err != nil {
		t.Fatal(err)
	}
}
