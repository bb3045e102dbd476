package main

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
)

// answer stands in for the controller: it answers the refresh request of a credential, once, as change says.
func answer(t *testing.T, namespace, name string, change func(*v1alpha1.RegistryCredential)) {
	t.Helper()
	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	go func() {
		defer cancel()
		for {
			o := &v1alpha1.RegistryCredential{}
			if err := admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, o); err != nil {
				done <- err
				return
			}
			if at := o.Annotations[v1alpha1.AnnotationRefreshRequestedAt]; at != "" {
				o.Status.LastHandledRefreshAt = at
				change(o)
				done <- admin.Status().Update(ctx, o)
				return
			}
		}
	}()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestRefresh(t *testing.T) {
	seedStatus(t)
	r := run(t, "refresh", "pull", "-n", "team-a", "-o", "yaml")
	o := &v1alpha1.RegistryCredential{}
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: "team-a", Name: "pull"}, o); err != nil {
		t.Fatal(err)
	}
	if at := o.Annotations[v1alpha1.AnnotationRefreshRequestedAt]; at != "2026-03-01T12:00:00Z" || !strings.Contains(r.stdout, at) || r.code != cli.Fine {
		t.Errorf("annotation %q, %+v", at, r)
	}
}

func TestRefreshWaitsForTheAnswer(t *testing.T) {
	seedStatus(t)
	answer(t, "team-a", "pull", func(o *v1alpha1.RegistryCredential) { o.Status.Registries[0].Reason = "" })
	if r := run(t, "refresh", "regcred/pull", "-n", "team-a", "--wait"); r.code != cli.Fine || r.stdout != "regcred/pull -n team-a: refreshed\n" {
		t.Errorf("%+v", r)
	}
}

func TestRefreshTellsWhatFails(t *testing.T) {
	seedStatus(t)
	answer(t, "team-b", "pull", func(*v1alpha1.RegistryCredential) {})
	r := run(t, "refresh", "regcred/pull", "-n", "team-b", "--wait")
	if r.code != cli.Findings || !strings.Contains(r.stdout, "refresh failed\n  registry prod: IdentityNotFound: ServiceAccount team-b/ecr does not exist") {
		t.Errorf("%+v", r)
	}
}

func TestRefreshWithoutAnAnswer(t *testing.T) {
	seedStatus(t)
	if r := run(t, "refresh", "regcred/pull", "-n", "team-a", "--wait", "--timeout=1s"); r.code != cli.TimedOut || !strings.Contains(r.stdout, "no answer after 1s") {
		t.Errorf("%+v", r)
	}
}

func TestRefreshOfASuspendedCredentialEndsAtOnce(t *testing.T) {
	seedStatus(t)
	r := run(t, "refresh", "old", "-n", "team-b", "--wait")
	if r.code != cli.Findings || !strings.Contains(r.stdout, "kubectl regcred resume regcred/old -n team-b\n") {
		t.Errorf("%+v", r)
	}
}

func TestRefreshOfTheExpired(t *testing.T) {
	seedStatus(t)
	r := run(t, "refresh", "--all", "--expired")
	if want := "regcred/pull -n team-b: refresh requested\n"; r.stdout != want || r.code != cli.Fine {
		t.Errorf("%+v, want %q", r, want)
	}
}

// A request that somebody has replaced is answered with the newer one.
func TestRefreshFollowsTheNewestRequest(t *testing.T) {
	seedStatus(t)
	answer(t, "team-a", "pull", func(o *v1alpha1.RegistryCredential) {
		o.Status.Registries[0].Reason = ""
		o.Status.LastHandledRefreshAt = "newer"
		newer := o.DeepCopy()
		metav1.SetMetaDataAnnotation(&newer.ObjectMeta, v1alpha1.AnnotationRefreshRequestedAt, "newer")
		if err := admin.Patch(context.Background(), newer, client.MergeFrom(o)); err != nil {
			t.Error(err)
		}
		o.ResourceVersion = newer.ResourceVersion
	})
	if r := run(t, "refresh", "regcred/pull", "-n", "team-a", "--wait"); r.code != cli.Fine {
		t.Errorf("%+v", r)
	}
}
