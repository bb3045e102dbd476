package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/migrate"
)

// move is a namespace with a CronJob that keeps a Secret, and what stands in for the controllers.
type move struct {
	*testing.T
	namespace string
	uid       string
	// refuses is whether the cloud lets the identity mint nothing, and deaf controllers do not make the credential ready.
	refuses, deaf bool
	// fails is whether Jobs do, and hangs whether they never end.
	fails, hangs bool
	// forgets is whether the controller leaves a host out.
	forgets bool
}

func newMove(t *testing.T, ends time.Time) *move {
	t.Helper()
	m := &move{T: t, namespace: fmt.Sprintf("move-%d", time.Now().UnixNano())}
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: m.namespace}})
	create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: "renewer"}})
	pod := corev1.PodTemplateSpec{Spec: corev1.PodSpec{ServiceAccountName: "renewer", RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{
		Name: "renew", Image: "amazon/aws-cli", Args: []string{"ecr", "get-login-password"}}}}}
	create(t, &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: "renew"}, Spec: batchv1.CronJobSpec{
		Schedule: "0 */8 * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: pod}}}})
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: "pull"}, Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: loginFor(ends, "cron-1")}}
	create(t, s)
	m.uid = string(s.UID)
	t.Cleanup(func() {
		remove(t, &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: "pull"}})
	})
	return m
}

func (m *move) secret() *corev1.Secret {
	m.Helper()
	s := &corev1.Secret{}
	if err := admin.Get(context.Background(), client.ObjectKey{Namespace: m.namespace, Name: "pull"}, s); err != nil {
		m.Fatal(err)
	}
	return s
}

func (m *move) suspended() bool {
	m.Helper()
	j := &batchv1.CronJob{}
	if err := admin.Get(context.Background(), client.ObjectKey{Namespace: m.namespace, Name: "renew"}, j); err != nil {
		m.Fatal(err)
	}
	return j.Spec.Suspend != nil && *j.Spec.Suspend
}

func (m *move) credential() bool { return m.has("pull") }

func (m *move) has(credential string) bool {
	err := admin.Get(context.Background(), client.ObjectKey{Namespace: m.namespace, Name: credential}, &v1alpha1.RegistryCredential{})
	return !apierrors.IsNotFound(err)
}

func (m *move) jobs() []batchv1.Job {
	m.Helper()
	jobs := &batchv1.JobList{}
	if err := admin.List(context.Background(), jobs, client.InNamespace(m.namespace)); err != nil {
		m.Fatal(err)
	}
	return jobs.Items
}

// records are the ConfigMaps of migrations of the namespace.
func (m *move) records() int {
	m.Helper()
	list := &corev1.ConfigMapList{}
	if err := admin.List(context.Background(), list, client.InNamespace(m.namespace), client.MatchingLabels{"app.kubernetes.io/managed-by": "kubectl-regcred-migrate"}); err != nil {
		m.Fatal(err)
	}
	for _, c := range list.Items {
		if strings.Contains(fmt.Sprint(c.Data), canary) || strings.Contains(fmt.Sprint(c.Data), "auths") {
			m.Error("the record holds what is in Secrets")
		}
	}
	return len(list.Items)
}

// run runs the command while the controllers work.
func (m *move) run(stdin string, args ...string) result {
	m.Helper()
	ctx, cancel := context.WithCancel(m.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			m.mint(ctx)
			m.control(ctx)
			m.work(ctx)
		}
	}()
	defer func() { cancel(); <-done }()
	return as(m.T, cp.Kubeconfig(), stdin, append([]string{"migrate", "-n", m.namespace, "--controller-namespace=" + m.namespace}, args...)...)
}

// control does what the controller would: it takes over what is handed over, and gives back what it kept.
func (m *move) control(ctx context.Context) {
	s, c := &corev1.Secret{}, &v1alpha1.RegistryCredential{}
	key := client.ObjectKey{Namespace: m.namespace, Name: "pull"}
	if admin.Get(ctx, key, s) != nil {
		return
	}
	keeps := s.Annotations[v1alpha1.AnnotationKeptBy] != ""
	if apierrors.IsNotFound(admin.Get(ctx, key, c)) {
		if keeps {
			delete(s.Annotations, v1alpha1.AnnotationKeptBy)
			_ = admin.Update(ctx, s)
		}
		return
	}
	ready := current
	switch {
	case m.deaf || s.Annotations[v1alpha1.AnnotationAdopt] != "true":
		ready = denied
	case c.Spec.Suspend:
		ready.Reason = v1alpha1.ReasonSuspended
	case !keeps:
		s.Annotations[v1alpha1.AnnotationKeptBy] = "RegistryCredential/pull"
		s.Data[corev1.DockerConfigJsonKey] = loginFor(now.Add(12*time.Hour), "regcred")
		if m.forgets {
			s.Data[corev1.DockerConfigJsonKey] = []byte(`{"auths":{"other.example":{"auth":"YTpi"}}}`)
		}
		if admin.Update(ctx, s) != nil {
			return
		}
	}
	report(ctx, c, ready)
}

// What the controller says of credentials.
var (
	current = metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonCurrent, LastTransitionTime: metav1.NewTime(now)}
	denied  = metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonAccessDenied, Message: "the role may not", LastTransitionTime: metav1.NewTime(now)}
)

func report(ctx context.Context, c *v1alpha1.RegistryCredential, ready metav1.Condition) {
	if c.Status.ObservedGeneration != c.Generation || len(c.Status.Conditions) == 0 || c.Status.Conditions[0].Reason != ready.Reason {
		c.Status.ObservedGeneration, c.Status.Conditions = c.Generation, []metav1.Condition{ready}
		_ = admin.Status().Update(ctx, c)
	}
}

// mint reports on the trial as the controller would. Until it is there, no object of the migration is.
func (m *move) mint(ctx context.Context) {
	c := &v1alpha1.RegistryCredential{}
	if admin.Get(ctx, client.ObjectKey{Namespace: m.namespace, Name: "pull-trial"}, c) != nil || len(c.Status.Conditions) > 0 {
		return
	}
	if c.Spec.ServiceAccounts != nil || c.Spec.NameOfSecret(c.Name) == "pull" || m.suspended() || m.credential() || m.records() != 0 {
		m.Errorf("the trial is %+v, and not before everything else", c.Spec)
	}
	if m.refuses {
		report(ctx, c, denied)
	} else {
		report(ctx, c, current)
	}
}

// work runs Jobs.
func (m *move) work(ctx context.Context) {
	jobs := &batchv1.JobList{}
	if admin.List(ctx, jobs, client.InNamespace(m.namespace)) != nil {
		return
	}
	for i := range jobs.Items {
		j := &jobs.Items[i]
		if len(j.Status.Conditions) > 0 || m.hangs {
			continue
		}
		at := metav1.NewTime(time.Now())
		j.Status.StartTime = &at
		end := []batchv1.JobCondition{{Type: batchv1.JobFailureTarget, Status: corev1.ConditionTrue}, {Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Message: "no token"}}
		if !m.fails {
			s := &corev1.Secret{}
			if admin.Get(ctx, client.ObjectKey{Namespace: m.namespace, Name: "pull"}, s) != nil {
				return
			}
			s.Data[corev1.DockerConfigJsonKey] = loginFor(now.Add(12*time.Hour), "cron-2")
			if admin.Update(ctx, s) != nil {
				return
			}
			end = []batchv1.JobCondition{{Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue}, {Type: batchv1.JobComplete, Status: corev1.ConditionTrue}}
			j.Status.CompletionTime, j.Status.Succeeded = &at, 1
		}
		j.Status.Conditions = end
		if err := admin.Status().Update(ctx, j); err != nil && ctx.Err() == nil && !apierrors.IsConflict(err) {
			m.Error(err)
		}
	}
}

// untouched checks that the CronJob keeps its Secret as ever.
func (m *move) untouched(when string) {
	m.Helper()
	s := m.secret()
	_, consent := s.Annotations[v1alpha1.AnnotationAdopt]
	if string(s.UID) != m.uid || consent || s.Annotations[v1alpha1.AnnotationKeptBy] != "" || m.suspended() || m.credential() || m.records() != 0 {
		m.Errorf("%s: annotations %v, suspended %v, credential %v, %d records", when, s.Annotations, m.suspended(), m.credential(), m.records())
	}
}

// yes is an answer to so many questions.
func yes(times int) string { return strings.Repeat("y\n", times) }

func outcome(t *testing.T, r result) migrate.Result {
	t.Helper()
	if strings.Contains(r.stdout+r.stderr, canary) || strings.Contains(r.stdout+r.stderr, `"auth"`) {
		t.Error("what is in Secrets is shown")
	}
	var got migrate.Result
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil {
		t.Fatalf("%v: %+v", err, r)
	}
	return got
}
