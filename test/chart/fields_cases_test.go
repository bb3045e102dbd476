package chart

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
)

func tryRegistries(s *stand) {
	s.apply("registries: [%s]", byLogin)
	s.published("the login", holding(host, "canary-a"))
	const other = "other.example.com"
	s.apply("registries: [%s, %s}]", strings.Replace(byLogin, host, other, 1), strings.Replace(byKey, "own", "second", 1))
	both := s.published("another host, and a second entry", func(secret *corev1.Secret) bool {
		return holding(other, "canary-a")(secret) && !holding(host, "")(secret) && holding(ecrHost, "")(secret)
	})
	s.apply("registries: [%s}]", strings.Replace(byKey, "own", "second", 1))
	s.published("the second entry alone, untouched", func(secret *corev1.Secret) bool {
		return len(passwords(secret)) == 1 && holding(ecrHost, passwords(both)[ecrHost])(secret)
	})
	s.refuses("spec.registries: Required value", "suspend: false")
}

func tryIdentitySecret(s *stand) {
	s.apply("registries: [%s]", byLogin)
	before := s.published("one login", holding(host, "canary-a"))
	s.apply("registries: [%s]", strings.Replace(byLogin, "login-a", "login-b", 1))
	if after := s.published("another login", holding(host, "canary-b")); after.UID != before.UID {
		s.Error("the Secret was made anew")
	}
	s.refuses("static needs identity.secretRef: the Secret that holds the credentials", "registries: [{name: own, static: {host: registry.example.com}}]")
}

func tryIdentityAccount(s *stand) {
	const entry = "registries: [{name: own, ecr: {region: eu-west-1}, identity: {serviceAccountRef: {name: %s}}}]"
	s.apply(entry, "puller-a")
	first := passwords(s.published("the token of one role", holding(ecrHost, "")))[ecrHost]
	s.apply(entry, "puller-b")
	s.published("the token of another", func(secret *corev1.Secret) bool { return !holding(ecrHost, first)(secret) })
	s.apply("registries: [{name: own, ecr: {region: eu-west-1}}]")
	if s.kind == v1alpha1.KindRegistryCredential && !s.ambient {
		s.entry(v1alpha1.ReasonAmbientIdentityNotAllowed)
		return
	}
	s.entry("")
	s.ready(v1alpha1.ReasonCurrent)
}

func tryVerify(s *stand) {
	const entry = "registries: [{name: own, static: {host: docker.io}, identity: {secretRef: {name: hub}}%s}]"
	s.apply(entry, ", verify: {repository: acme/app}")
	before := s.published("a login that pulls", anySecret)
	s.says("that it was proved", func(_ metav1.Condition, own v1alpha1.RegistryStatus) bool {
		return own.Verified == metav1.ConditionTrue
	})
	s.apply(entry, ", verify: {repository: others/app}")
	s.entry(v1alpha1.ReasonVerificationFailed)
	if after := s.published("the last good login", anySecret); after.ResourceVersion != before.ResourceVersion {
		s.Error("a login that does not pull was published")
	}
	s.apply(entry, "")
	s.says("nothing of a proof", func(_ metav1.Condition, own v1alpha1.RegistryStatus) bool {
		return own.Verified == "" && own.Reason == "" && own.Name != ""
	})
}

func tryRenewBefore(s *stand) {
	for _, step := range []struct {
		spec string
		left float64
	}{{", renewBeforePercentage: 80", 0.8}, {", renewBeforePercentage: 20", 0.2}, {"", 0.5}} {
		s.apply("registries: [%s%s}]", byKey, step.spec)
		s.says(fmt.Sprintf("a refresh with %.0f%% left", 100*step.left), func(_ metav1.Condition, own v1alpha1.RegistryStatus) bool {
			if own.RefreshAt == nil || own.ExpiresAt == nil {
				return false
			}
			left := own.ExpiresAt.Sub(own.RefreshAt.Time).Hours() / 12
			return left > step.left-0.01 && left < step.left+0.11
		})
	}
}

func tryOverride(s *stand) {
	entry := func(name string, until time.Duration) string {
		return fmt.Sprintf("registries: [%s, override: {secretRef: {name: %s}, until: %q}}]", byKey, name, time.Now().Add(until).UTC().Format(time.RFC3339))
	}
	s.apply("%s", entry("login-a", time.Hour))
	s.published("the login by hand", holding(ecrHost, "canary-a"))
	s.entry(v1alpha1.ReasonOverridden)
	s.told(s.eventsIn(), s.name, v1alpha1.ReasonOverridden, "a login by hand is published")
	s.apply("%s", entry("login-b", time.Hour))
	s.published("another login by hand", holding(ecrHost, "canary-b"))
	s.apply("%s", entry("login-b", 8*24*time.Hour))
	s.entry(v1alpha1.ReasonOverrideInvalid)
	s.apply("%s", entry("login-a", time.Hour))
	s.published("the login by hand again", holding(ecrHost, "canary-a"))
	s.apply("registries: [%s}]", byKey)
	s.published("the provider's token", func(secret *corev1.Secret) bool { return !holding(ecrHost, "canary-a")(secret) })
	s.entry("")
	s.told(s.eventsIn(), s.name, "OverrideEnded", "the provider's token")
}

func tryNames(s *stand) {
	one, two := s.name+"-1", s.name+"-2"
	s.account(one, nil)
	alone := s.account(two, nil)
	s.apply("registries: [%s]\nserviceAccounts: {names: [%s]}", byLogin, one)
	s.linked(one, true)
	s.apply("registries: [%s]\nserviceAccounts: {names: [%s]}", byLogin, two)
	s.linked(two, true)
	s.linked(one, false)
	wish := func(value string) {
		patch := fmt.Sprintf(`{"metadata":{"labels":{%q:%s}}}`, v1alpha1.LabelLink, value)
		must(s.T, world.Client.Patch(s.Context(), alone, client.RawPatch("application/merge-patch+json", []byte(patch))))
	}
	wish(`"false"`)
	s.linked(two, false)
	wish("null")
	s.linked(two, true)
	s.apply("registries: [%s]", byLogin)
	s.linked(two, false)
}

func trySelector(s *stand) {
	one, two := s.name+"-1", s.name+"-2"
	s.account(one, map[string]string{"app": one})
	s.account(two, map[string]string{"app": two})
	s.apply("registries: [%s]\nserviceAccounts: {selector: {matchLabels: {app: %s}}}", byLogin, one)
	s.linked(one, true)
	s.apply("registries: [%s]\nserviceAccounts: {selector: {matchExpressions: [{key: app, operator: In, values: [%s]}]}}", byLogin, two)
	s.linked(two, true)
	s.linked(one, false)
	s.apply("registries: [%s]", byLogin)
	s.linked(two, false)
	s.refuses("exactly one of the fields in [names selector] must be set", "registries: [%s]\nserviceAccounts: {}", byLogin)
}

func trySecretName(s *stand) {
	s.secretName = "renamed"
	s.apply("registries: [%s]\nsecretName: renamed", byLogin)
	s.published("a Secret of that name", holding(host, "canary-a"))
	const refusal = "secretName cannot be changed, since running pods name the Secret: create a second credential, and delete this one when no pod needs its Secret"
	s.refuses(refusal, "registries: [%s]\nsecretName: again", byLogin)
	s.refuses(refusal, "registries: [%s]", byLogin)
}

// trySecretTemplate where a policy of the cluster lets no Secret be created without a label.
func trySecretTemplate(s *stand) {
	s.demandLabel("example.com/cost")
	s.apply("registries: [%s]", byLogin)
	s.ready(v1alpha1.ReasonSecretRejected)
	const spec = "registries: [%s]\nsecretTemplate: {labels: {example.com/cost: %q}, annotations: {example.com/note: %q}}"
	templated := func(value string) func(*corev1.Secret) bool {
		return func(secret *corev1.Secret) bool {
			return secret.Labels["example.com/cost"] == value && secret.Annotations["example.com/note"] == value
		}
	}
	s.apply(spec, byLogin, "1", "1")
	created := s.published("the label and the annotation", templated("1"))
	patch := `{"metadata":{"labels":{"example.com/cost":null,"example.com/theirs":"yes"}}}`
	must(s.T, world.Client.Patch(s.Context(), created, client.RawPatch("application/merge-patch+json", []byte(patch))))
	s.published("what was taken off", templated("1"))
	s.apply(spec, byLogin, "2", "2")
	s.published("other values", templated("2"))
	s.apply("registries: [%s]", byLogin)
	last := s.published("none of them", templated(""))
	if _, left := last.Annotations["example.com/note"]; left || last.UID != created.UID || last.Labels["example.com/theirs"] != "yes" {
		s.Errorf("left: %v %v, made anew: %t", last.Labels, last.Annotations, last.UID != created.UID)
	}
}

func tryDeletionPolicy(s *stand) {
	account := s.name + "-1"
	s.account(account, nil)
	spec := fmt.Sprintf("registries: [%s}]\nserviceAccounts: {names: [%s]}", byKey, account)
	retained := func(secret *corev1.Secret) bool {
		return len(secret.OwnerReferences) == 0 && secret.Annotations[v1alpha1.AnnotationRetain] == "true"
	}
	owned := func(secret *corev1.Secret) bool {
		return len(secret.OwnerReferences) == 1 && secret.Annotations[v1alpha1.AnnotationRetain] == ""
	}
	s.apply("%s\ndeletionPolicy: Retain", spec)
	first := s.published("a Secret that stays", retained)
	s.apply("%s\ndeletionPolicy: Delete", spec)
	s.published("a Secret that goes", owned)
	s.apply("%s\ndeletionPolicy: Retain", spec)
	s.published("a Secret that stays again", retained)
	s.apply("%s", spec)
	s.published("a Secret that goes by default", owned)
	s.apply("%s\ndeletionPolicy: Retain", spec)
	last := s.published("a Secret that stays", retained)
	s.linked(account, true)
	s.ready(v1alpha1.ReasonCurrent)
	must(s.T, world.Client.Delete(s.Context(), s.credential()))
	s.told(s.eventsIn(), s.name, "Retained", "the Secret and its links stay as they are")
	s.apply("%s\ndeletionPolicy: Retain", spec)
	s.ready(v1alpha1.ReasonCurrent)
	s.linked(account, true)
	after := s.published("the same Secret", anySecret)
	if after.ResourceVersion != last.ResourceVersion || !holding(ecrHost, passwords(first)[ecrHost])(after) {
		s.Error("a later credential does not take the Secret up as it is")
	}
	must(s.T, world.Client.Delete(s.Context(), s.credential()))
	s.apply("%s", spec)
	s.published("a Secret that goes", owned)
	must(s.T, world.Client.Delete(s.Context(), s.credential()))
	s.linked(account, false) // the Secret is for the garbage collector, in its own time
}

func trySuspend(s *stand) {
	account := s.name + "-1"
	s.account(account, nil)
	spec := fmt.Sprintf("registries: [%s}]\nserviceAccounts: {names: [%s]}", byKey, account)
	s.apply("%s\nsuspend: true", spec)
	s.ready(v1alpha1.ReasonSuspended)
	s.gone()
	s.linked(account, false)
	s.apply("%s\nsuspend: false", spec)
	secret := s.published("a token", holding(ecrHost, ""))
	s.linked(account, true)
	s.apply("%s\nsuspend: true", spec)
	s.ready(v1alpha1.ReasonSuspended)
	must(s.T, world.Client.Delete(s.Context(), secret))
	s.apply("%s\nsuspend: true\nsecretTemplate: {labels: {a: b}}", spec)
	s.says("that there is nothing", func(ready metav1.Condition, _ v1alpha1.RegistryStatus) bool {
		return ready.Reason == v1alpha1.ReasonSuspended && ready.Status == metav1.ConditionUnknown
	})
	s.gone()
	s.apply("%s", spec)
	s.published("a token again", holding(ecrHost, ""))
	s.ready(v1alpha1.ReasonCurrent)
}

func tryNamespaceSelector(s *stand) {
	s.apply("registries: [%s]", byLogin)
	s.published("the login", holding(host, "canary-a"))
	was := s.target
	s.target = s.mode.name + "-other"
	s.apply("registries: [%s]\nnamespaceSelector: {matchLabels: {pull: %s}}", byLogin, s.target)
	s.published("the login in another namespace", holding(host, "canary-a"))
	s.refuses("spec.namespaceSelector: Required value", "registries: [%s]\nnamespaceSelector: null", byLogin)
	s.target = was
	s.gone()
}

// demandLabel has the API server refuse the creation of the stand's Secret without a label.
func (s *stand) demandLabel(label string) {
	s.Helper()
	kubectl(s.T, fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: %[1]s-%[2]s}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], resources: [secrets], operations: [CREATE]}]}
  matchConditions: [{name: ours, expression: "object.metadata.namespace == '%[1]s' && object.metadata.name == '%[2]s'"}]
  validations: [{expression: "has(object.metadata.labels) && '%[3]s' in object.metadata.labels", message: "every Secret needs the label %[3]s"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: %[1]s-%[2]s}
spec: {policyName: %[1]s-%[2]s, validationActions: [Deny]}
`, s.target, s.name, label), "apply")
	s.eventually("the policy to be in force", func() bool {
		trial := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.target, Name: s.name}}
		return apierrors.IsInvalid(world.Client.Create(s.Context(), trial, client.DryRunAll))
	})
}
