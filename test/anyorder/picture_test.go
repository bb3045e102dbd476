package anyorder

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/controllers/pullsecret"
)

// picture is a world without what differs from one copy to the next: times, UIDs, versions, passwords, and its name.
func (w *world) picture() string {
	w.Helper()
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, ns := range []string{first, second} {
		var accounts corev1.ServiceAccountList
		w.must(cluster.Client.List(w.Context(), &accounts, client.InNamespace(w.in(ns))))
		for n := range accounts.Items {
			sa := &accounts.Items[n]
			var links []string
			for _, ref := range sa.ImagePullSecrets {
				links = append(links, ref.Name)
			}
			slices.Sort(links)
			add("ServiceAccount %s/%s: %v %v %v", ns, sa.Name, links, sa.Labels, sa.Annotations)
		}
		var secrets corev1.SecretList
		w.must(cluster.Client.List(w.Context(), &secrets, client.InNamespace(w.in(ns))))
		for n := range secrets.Items {
			add("Secret %s/%s", ns, w.secret(&secrets.Items[n]))
		}
	}
	c := &v1alpha1.ClusterRegistryCredential{}
	if err := cluster.Client.Get(w.Context(), client.ObjectKey{Name: w.in(many)}, c); err == nil {
		add("%s: %s", many, status(c.Generation, &c.Status.CredentialStatus))
		add("%s: %v %v", many, text(c.Status.Namespaces), text(c.Status.Failures))
	}
	o := &v1alpha1.RegistryCredential{}
	if err := cluster.Client.Get(w.Context(), client.ObjectKey{Namespace: w.in(first), Name: own}, o); err == nil {
		add("%s: %s", own, status(o.Generation, &o.Status))
	}
	return strings.ReplaceAll(strings.Join(lines, "\n"), w.name, "<world>")
}

func text(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

func (w *world) secret(s *corev1.Secret) string {
	w.Helper()
	var logins []string
	if content, err := pullsecret.ParseConfig(s); err == nil {
		for host := range content.Auths {
			login, err := content.Login(host)
			logins = append(logins, fmt.Sprintf("%s as %s %v", host, login.Username, err))
		}
	}
	slices.Sort(logins)
	var entries []string
	for name, r := range pullsecret.Read(s, clock.Now()).Records {
		entries = append(entries, fmt.Sprint(name, " ", r.Hosts))
	}
	slices.Sort(entries)
	owner := "nobody"
	if o := metav1.GetControllerOf(s); o != nil {
		owner = o.Kind + " " + o.Name
	}
	delete(s.Annotations, pullsecret.AnnotationRegistries)
	return fmt.Sprintf("%s of %s: %s %v %v %v %v %v", s.Name, owner, s.Type, names(s.Data), s.Labels, s.Annotations, logins, entries)
}

// status is what a status says, without times.
func status(generation int64, s *v1alpha1.CredentialStatus) string {
	var all []string
	for _, c := range s.Conditions {
		all = append(all, fmt.Sprintf("%s=%s %s %q current %t", c.Type, c.Status, c.Reason, c.Message, c.ObservedGeneration == generation))
	}
	slices.Sort(all)
	for _, r := range s.Registries {
		r.ExpiresAt, r.RefreshAt = nil, nil
		all = append(all, text(r))
	}
	return fmt.Sprintf("current %t, handled %q, registries %s, %s", s.ObservedGeneration == generation, s.LastHandledRefreshAt, s.RegistriesCurrent, strings.Join(all, "; "))
}
