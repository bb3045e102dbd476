package main

import (
	"context"
	"encoding/base64"
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
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/migrate"
)

const movedHost = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"

// loginFor is a docker config with a token of ECR that ends then, and is told from others by its serial.
func loginFor(ends time.Time, serial string) []byte {
	token := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"payload":"%s%s","type":"DATA_KEY","expiration":%d}`, canary, serial, ends.Unix()))
	auth := base64.StdEncoding.EncodeToString([]byte("AWS:" + token))
	return fmt.Appendf(nil, `{"auths":{"%s":{"auth":"%s"}}}`, movedHost, auth)
}

// move is a namespace with a CronJob that keeps a Secret, and what stands in for the controllers.
type move struct {
	*testing.T
	namespace string
	uid       string
	// deaf controllers do not make the credential ready.
	deaf bool
	// fails is whether Jobs do.
	fails bool
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

func (m *move) credential() bool {
	err := admin.Get(context.Background(), client.ObjectKey{Namespace: m.namespace, Name: "pull"}, &v1alpha1.RegistryCredential{})
	return !apierrors.IsNotFound(err)
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
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonCurrent, LastTransitionTime: metav1.NewTime(now)}
	switch {
	case m.deaf || s.Annotations[v1alpha1.AnnotationAdopt] != "true":
		ready.Status, ready.Reason, ready.Message = metav1.ConditionFalse, v1alpha1.ReasonAccessDenied, "the role may not"
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
	if c.Status.ObservedGeneration != c.Generation || len(c.Status.Conditions) == 0 || c.Status.Conditions[0].Reason != ready.Reason {
		c.Status.ObservedGeneration, c.Status.Conditions = c.Generation, []metav1.Condition{ready}
		_ = admin.Status().Update(ctx, c)
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
		if len(j.Status.Conditions) > 0 {
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

func TestMigrateTakesACronJobOverAndGivesBack(t *testing.T) {
	m := newMove(t, now.Add(6*time.Hour))
	r := m.run(yes(4), "--apply", "-o", "json")
	if got := outcome(t, r); r.code != cli.Fine || got.Outcome != migrate.Migrated {
		t.Fatalf("%+v", r)
	}
	s := m.secret()
	if string(s.UID) != m.uid || s.Annotations[v1alpha1.AnnotationKeptBy] == "" || !m.suspended() || !m.credential() || m.records() != 1 {
		t.Errorf("annotations %v, suspended %v, credential %v, %d records", s.Annotations, m.suspended(), m.credential(), m.records())
	}
	if r := run(t, "migrate", "-n", m.namespace); strings.Contains(r.stdout, "credentials.yaml") {
		t.Errorf("a Secret that Regcred keeps is to be taken over again: %s", r.stdout)
	}

	r = m.run("n\n", "--rollback", "-o", "json")
	if got := outcome(t, r); r.code != cli.Findings || got.Outcome != migrate.Untouched || !m.suspended() || !m.credential() {
		t.Errorf("without consent: %+v", r)
	}
	m.fails = true
	r = m.run("", "--rollback", "--yes", "-o", "json")
	if got := outcome(t, r); r.code != cli.Findings || got.Outcome != migrate.Undone || !m.suspended() || !m.credential() || !strings.Contains(r.stdout, "has failed: no token") {
		t.Errorf("of a CronJob that fails: %+v", r)
	}
	m.fails = false
	r = m.run("", "--rollback", "--yes", "-o", "json")
	if got := outcome(t, r); r.code != cli.Fine || got.Outcome != migrate.RolledBack {
		t.Errorf("%+v", r)
	}
	m.untouched("after the rollback")
	if !strings.Contains(string(m.secret().Data[corev1.DockerConfigJsonKey]), string(loginFor(now.Add(12*time.Hour), "cron-2"))[60:100]) {
		t.Error("the Secret does not hold the CronJob's token")
	}
	if r := m.run("", "--rollback", "--yes"); r.code != cli.Failure || !strings.Contains(r.stderr, "no record of such a migration") {
		t.Errorf("a second time: %+v", r)
	}
}

// A Job that somebody has started by hand writes into the Secret, too.
func TestMigrateWaitsForEveryJobOfTheCronJob(t *testing.T) {
	m := newMove(t, now.Add(6*time.Hour))
	j := &batchv1.CronJob{}
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: m.namespace, Name: "renew"}, j); err != nil {
		t.Fatal(err)
	}
	create(t, &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: "by-hand", OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(j, batchv1.SchemeGroupVersion.WithKind("CronJob"))}},
		Spec:       j.Spec.JobTemplate.Spec,
	})
	r := as(t, cp.Kubeconfig(), "", "migrate", "-n", m.namespace, "--controller-namespace="+m.namespace, "--apply", "--yes", "--timeout=2s", "-o", "json")
	if got := outcome(t, r); r.code != cli.Findings || got.Outcome != migrate.Undone || !strings.Contains(r.stdout, "the running Jobs of CronJob "+m.namespace+"/renew end: not within 2s") {
		t.Errorf("%+v", r)
	}
	m.untouched("after the wait")
}

func TestMigrateUndoesWhatDoesNotSucceed(t *testing.T) {
	for name, c := range map[string]struct {
		arrange func(*move)
		stdin   string
		why     string
	}{
		"the controller cannot mint": {func(m *move) { m.deaf = true }, yes(4), "AccessDenied: the role may not"},
		"a host is lost":             {func(m *move) { m.forgets = true }, yes(4), "has no login for " + movedHost},
		"no to the second step":      {func(*move) {}, yes(2) + "n\n", "the answer was no"},
		"no to the third step":       {func(*move) {}, yes(3), "nobody has answered"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMove(t, now.Add(6*time.Hour))
			c.arrange(m)
			r := m.run(c.stdin, "--apply", "--timeout=4s", "-o", "json")
			if got := outcome(t, r); r.code != cli.Findings || got.Outcome != migrate.Undone || !strings.Contains(strings.Join(got.Why, " "), c.why) {
				t.Errorf("%+v", r)
			}
			m.untouched("in the end")
		})
	}
}

func TestMigrateDoesNotBeginWhatCannotEndWell(t *testing.T) {
	for name, c := range map[string]struct {
		arrange func(*testing.T, *move)
		ends    time.Duration
		args    []string
		why     string
	}{
		"the token ends soon":   {func(*testing.T, *move) {}, 20 * time.Minute, nil, "ends in 20m, and is to live for 30m0s"},
		"nobody answers":        {func(*testing.T, *move) {}, time.Hour, nil, "nobody has answered"},
		"no identity":           {anonymous, time.Hour, []string{"--yes"}, "ServiceAccount " + "move-"},
		"a name that is taken":  {taken, time.Hour, []string{"--yes"}, "cannot be created"},
		"a login of no cloud's": {alien, time.Hour, []string{"--yes"}, "holds a login that no credential here brings"},
		"Argo CD keeps it":      {keptElsewhere, time.Hour, []string{"--yes"}, "is kept by Argo CD"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMove(t, now.Add(c.ends))
			c.arrange(t, m)
			r := m.run("", append([]string{"--apply", "-o", "json"}, c.args...)...)
			if got := outcome(t, r); r.code != cli.Findings || got.Outcome != migrate.Untouched || !strings.Contains(strings.Join(got.Why, " "), c.why) {
				t.Errorf("%+v", r)
			}
			if m.suspended() || m.records() != 0 || m.secret().Annotations[v1alpha1.AnnotationKeptBy] != "" {
				t.Error("something was changed")
			}
		})
	}
}

func anonymous(t *testing.T, m *move) {
	t.Helper()
	remove(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: "renewer"}})
}

func taken(t *testing.T, m *move) {
	t.Helper()
	create(t, &v1alpha1.RegistryCredential{ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: "pull"}, Spec: v1alpha1.CredentialSpec{
		Registries: []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: "eu-west-1"}}}}})
}

func alien(t *testing.T, m *move) {
	t.Helper()
	s := m.secret()
	var config map[string]map[string]any
	if err := json.Unmarshal(s.Data[corev1.DockerConfigJsonKey], &config); err != nil {
		t.Fatal(err)
	}
	config["auths"]["ghcr.io"] = map[string]string{"auth": "YTpi"}
	s.Data[corev1.DockerConfigJsonKey], _ = json.Marshal(config)
	if err := admin.Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

func keptElsewhere(t *testing.T, m *move) {
	t.Helper()
	j := &batchv1.CronJob{}
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: m.namespace, Name: "renew"}, j); err != nil {
		t.Fatal(err)
	}
	j.Labels = map[string]string{"argocd.argoproj.io/instance": "apps"}
	if err := admin.Update(t.Context(), j); err != nil {
		t.Fatal(err)
	}
}

func TestARollbackNamesWhatHasChanged(t *testing.T) {
	m := newMove(t, now.Add(6*time.Hour))
	if r := m.run("", "--apply", "--yes"); r.code != cli.Fine {
		t.Fatalf("%+v", r)
	}
	s := m.secret()
	remove(t, s)
	s.ResourceVersion, s.UID = "", ""
	create(t, s)
	r := m.run("", "--rollback", "--yes", "-o", "json")
	if got := outcome(t, r); r.code != cli.Findings || got.Outcome != migrate.Untouched || !strings.Contains(strings.Join(got.Why, " "), "pull was deleted and made anew") || !m.suspended() {
		t.Errorf("%+v", r)
	}
}
