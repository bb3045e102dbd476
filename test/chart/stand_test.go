package chart

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/regcred/regcred/api/v1alpha1"
)

const (
	host = "registry.example.com"
	// byLogin is an entry without a cloud.
	byLogin = `{name: own, static: {host: registry.example.com}, identity: {secretRef: {name: login-a}}}`
	ecrHost = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
	// byKey is an entry of a cloud, without its end and its last members.
	byKey = `{name: own, ecr: {region: eu-west-1, accounts: ["123456789012"]}, identity: {secretRef: {name: keys}}`
)

// stand is where one field of one kind is tried in one mode: with a credential, a Secret and ServiceAccounts of its own name.
type stand struct {
	*testing.T
	mode
	kind, name, secretName string
	// home is where identities are, and target where the Secret is.
	home, target string
}

func newStand(t *testing.T, m mode, kind, path string) *stand {
	t.Helper()
	s := &stand{T: t, mode: m, kind: kind, name: nameOf(path), secretName: nameOf(path), home: m.name, target: m.name + "-selected"}
	if kind == v1alpha1.KindRegistryCredential {
		s.home, s.target = m.name+"-own", m.name+"-own"
	}
	t.Cleanup(func() { remove(t, s.credential()) })
	return s
}

func (s *stand) credential() *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetAPIVersion("regcred.dev/v1alpha1")
	o.SetKind(s.kind)
	o.SetName(s.name)
	if s.kind == v1alpha1.KindRegistryCredential {
		o.SetNamespace(s.target)
	}
	return o
}

// tryApply makes the spec what the text says, as kubectl apply does: what was there and is there no longer is removed.
func (s *stand) tryApply(text string) error {
	var spec map[string]any
	if err := yaml.Unmarshal([]byte(text), &spec); err != nil {
		s.Fatalf("%v in %s", err, text)
	}
	selector, set := spec["namespaceSelector"]
	switch {
	case set && selector == nil:
		delete(spec, "namespaceSelector")
	case !set && s.kind == v1alpha1.KindClusterRegistryCredential:
		spec["namespaceSelector"] = map[string]any{"matchLabels": map[string]any{"pull": s.target}}
	}
	o := s.credential()
	o.Object["spec"] = spec
	return world.Client.Apply(s.Context(), client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("test"), client.ForceOwnership)
}

func (s *stand) apply(format string, args ...any) {
	s.Helper()
	must(s.T, s.tryApply(fmt.Sprintf(format, args...)))
}

// refuses wants the API server to refuse a spec with this message.
func (s *stand) refuses(message, format string, args ...any) {
	s.Helper()
	err := s.tryApply(fmt.Sprintf(format, args...))
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), message) {
		s.Errorf("want %q, got %v", message, err)
	}
}

// published waits for a Secret as it should be.
func (s *stand) published(what string, is func(*corev1.Secret) bool) *corev1.Secret {
	s.Helper()
	secret := &corev1.Secret{}
	s.eventually(what, func() bool {
		return world.Client.Get(s.Context(), client.ObjectKey{Namespace: s.target, Name: s.secretName}, secret) == nil && is(secret)
	})
	return secret
}

func (s *stand) eventually(what string, done func() bool) {
	s.Helper()
	eventually(s.T, fmt.Sprintf("%s; the status is %s", what, s.statusText()), func() (bool, error) { return done(), nil })
}

func anySecret(*corev1.Secret) bool { return true }

// holding wants a login for the host with this password, or any.
func holding(host, password string) func(*corev1.Secret) bool {
	return func(s *corev1.Secret) bool {
		got, ok := passwords(s)[host]
		return ok && (password == "" || got == password)
	}
}

func passwords(s *corev1.Secret) map[string]string {
	var config struct {
		Auths map[string]struct{ Auth string }
	}
	byHost := map[string]string{}
	if json.Unmarshal(s.Data[corev1.DockerConfigJsonKey], &config) != nil {
		return byHost
	}
	for host, login := range config.Auths {
		plain, err := base64.StdEncoding.DecodeString(login.Auth)
		if _, password, ok := strings.Cut(string(plain), ":"); ok && err == nil {
			byHost[host] = password
		}
	}
	return byHost
}

// gone waits until there is no Secret.
func (s *stand) gone() {
	s.Helper()
	s.eventually("no Secret", func() bool {
		return apierrors.IsNotFound(world.Client.Get(s.Context(), client.ObjectKey{Namespace: s.target, Name: s.secretName}, &corev1.Secret{}))
	})
}

// status is the common part, once it is of the present spec.
func (s *stand) status() (status v1alpha1.CredentialStatus, current bool) {
	s.Helper()
	o := s.credential()
	must(s.T, client.IgnoreNotFound(world.Client.Get(s.Context(), client.ObjectKeyFromObject(o), o)))
	raw, err := json.Marshal(o.Object["status"])
	must(s.T, err)
	must(s.T, json.Unmarshal(raw, &status))
	return status, status.ObservedGeneration == o.GetGeneration()
}

func (s *stand) statusText() string {
	s.Helper()
	status, _ := s.status()
	raw, err := json.Marshal(status)
	must(s.T, err)
	return string(raw)
}

// says waits until the status of the present spec is as it should be.
func (s *stand) says(what string, is func(ready metav1.Condition, own v1alpha1.RegistryStatus) bool) {
	s.Helper()
	s.eventually(what, func() bool {
		status, current := s.status()
		ready := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
		if !current || ready == nil {
			return false
		}
		own := v1alpha1.RegistryStatus{}
		if len(status.Registries) > 0 {
			own = status.Registries[0]
		}
		return is(*ready, own)
	})
}

func (s *stand) ready(reason string) {
	s.Helper()
	s.says(reason, func(ready metav1.Condition, _ v1alpha1.RegistryStatus) bool { return ready.Reason == reason })
}

// entry waits until the one entry has the reason, or none.
func (s *stand) entry(reason string) {
	s.Helper()
	s.says("an entry that is "+reason, func(_ metav1.Condition, own v1alpha1.RegistryStatus) bool {
		return own.Name != "" && own.Reason == reason
	})
}

// account creates a ServiceAccount with labels.
func (s *stand) account(name string, labels map[string]string) *corev1.ServiceAccount {
	s.Helper()
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.target, Name: name, Labels: labels}}
	must(s.T, world.Client.Create(s.Context(), sa))
	return sa
}

// linked waits until the ServiceAccount links the Secret, or does not.
func (s *stand) linked(name string, want bool) {
	s.Helper()
	s.eventually(fmt.Sprintf("%s to be linked: %t", name, want), func() bool {
		sa := &corev1.ServiceAccount{}
		must(s.T, world.Client.Get(s.Context(), client.ObjectKey{Namespace: s.target, Name: name}, sa))
		return slices.Contains(sa.ImagePullSecrets, corev1.LocalObjectReference{Name: s.secretName}) == want
	})
}

// told waits for an event on an object of that name.
func (s *stand) told(namespace, name, reason, says string) {
	s.Helper()
	s.eventually("an event "+reason, func() bool { return s.tells(namespace, name, reason, says) })
}

// tells says whether there is such an event, of the credential or of a pod.
func (s *stand) tells(namespace, name, reason, says string) bool {
	s.Helper()
	events := &corev1.EventList{}
	must(s.T, world.Client.List(s.Context(), events, client.InNamespace(namespace), client.MatchingFields{"involvedObject.name": name, "reason": reason}))
	return slices.ContainsFunc(events.Items, func(e corev1.Event) bool {
		return (e.InvolvedObject.Kind == s.kind || e.InvolvedObject.Kind == "Pod") && strings.Contains(e.Message, says)
	})
}

// eventsIn is where events of the credential are.
func (s *stand) eventsIn() string {
	if s.kind == v1alpha1.KindClusterRegistryCredential {
		return "default"
	}
	return s.target
}
