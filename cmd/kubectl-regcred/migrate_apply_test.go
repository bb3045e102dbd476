package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
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

func TestMigrateTakesACronJobOverAndGivesBack(t *testing.T) {
	m := newMove(t, now.Add(6*time.Hour))
	r := m.run(yes(4), "--apply", "-o", "json")
	if got := outcome(t, r); r.code != cli.Fine || got.Outcome != migrate.Migrated {
		t.Fatalf("%+v", r)
	}
	s := m.secret()
	if string(s.UID) != m.uid || s.Annotations[v1alpha1.AnnotationKeptBy] == "" || !m.suspended() || !m.credential() || m.records() != 1 || m.has("pull-trial") {
		t.Errorf("annotations %v, suspended %v, credential %v, %d records, trial %v", s.Annotations, m.suspended(), m.credential(), m.records(), m.has("pull-trial"))
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
	if jobs := m.jobs(); len(jobs) > 0 {
		t.Errorf("%d Jobs would write into the Secret yet", len(jobs))
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
	m.hangs = true
	r := m.run("", "--apply", "--yes", "--timeout=4s", "-o", "json")
	if got := outcome(t, r); r.code != cli.Findings || got.Outcome != migrate.Undone || !strings.Contains(r.stdout, "the running Jobs of CronJob "+m.namespace+"/renew end: not within 4s") {
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
		"it mints no more":      {func(m *move) { m.deaf = true }, yes(4), "AccessDenied: the role may not"},
		"a host is lost":        {func(m *move) { m.forgets = true }, yes(4), "has no login for " + movedHost},
		"no to the second step": {func(*move) {}, yes(2) + "n\n", "the answer was no"},
		"no to the third step":  {func(*move) {}, yes(3), "nobody has answered"},
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
		"the old type":          {oldType, time.Hour, []string{"--yes"}, "is of type kubernetes.io/dockercfg"},
		"another writes there":  {rival, time.Hour, []string{"renew", "--yes"}, "/another renews pull Secrets, too"},
		"Argo CD keeps it":      {keptElsewhere, time.Hour, []string{"--yes"}, "is kept by Argo CD"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMove(t, now.Add(c.ends))
			c.arrange(t, m)
			r := m.run("", append([]string{"--apply", "-o", "json"}, c.args...)...)
			if got := outcome(t, r); r.code != cli.Findings || got.Outcome != migrate.Untouched || !strings.Contains(strings.Join(got.Why, " "), c.why) {
				t.Errorf("%+v", r)
			}
			if m.suspended() || m.records() != 0 || m.secret().Annotations[v1alpha1.AnnotationKeptBy] != "" || m.has("pull-trial") {
				t.Error("something was changed")
			}
		})
	}
}

// Whether the identity can mint is tried, before anything is changed. If it cannot, what it needs is printed.
func TestMigrateTriesTheIdentityFirst(t *testing.T) {
	m := newMove(t, now.Add(6*time.Hour))
	m.refuses = true
	r := m.run("", "--apply", "--yes", "-o", "json")
	if got := outcome(t, r); r.code != cli.Findings || got.Outcome != migrate.Untouched || len(got.Access) != 1 || !strings.Contains(strings.Join(got.Why, " "), "AccessDenied: the role may not") {
		t.Errorf("%+v", r)
	}
	if r := m.run("", "--apply", "--yes"); r.code != cli.Findings || !strings.Contains(r.stdout, "Nothing was changed") || !strings.Contains(r.stdout, "aws iam create-role") {
		t.Errorf("%+v", r)
	}
	m.untouched("after a refusal")
	r = as(t, cp.Kubeconfig(), "", "migrate", "-n", m.namespace, "--apply", "--yes", "--timeout=2s", "-o", "json")
	if got := outcome(t, r); r.code != cli.Findings || got.Outcome != migrate.Untouched || !strings.Contains(strings.Join(got.Why, " "), "the controller has not reported") {
		t.Errorf("where no controller runs: %+v", r)
	}
	m.untouched("where no controller runs")
	if m.has("pull-trial") {
		t.Error("the trial was left")
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

// oldType has the Secret be of the type that no credential writes.
func oldType(t *testing.T, m *move) {
	t.Helper()
	s := m.secret()
	var config map[string]json.RawMessage
	if err := json.Unmarshal(s.Data[corev1.DockerConfigJsonKey], &config); err != nil {
		t.Fatal(err)
	}
	if err := admin.Delete(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: "pull"}, Type: corev1.SecretTypeDockercfg,
		Data: map[string][]byte{corev1.DockerConfigKey: config["auths"]}})
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

func rival(t *testing.T, m *move) {
	t.Helper()
	j := &batchv1.CronJob{}
	if err := admin.Get(t.Context(), client.ObjectKey{Namespace: m.namespace, Name: "renew"}, j); err != nil {
		t.Fatal(err)
	}
	create(t, &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: "another"}, Spec: j.Spec})
}

// Which CronJob writes which Secret, nobody can tell: with one stopped, those of the others would be taken over while they go on writing.
func TestMigrateTakesOverNoSecretsOfOthers(t *testing.T) {
	m, other := newMove(t, now.Add(6*time.Hour)), newMove(t, now.Add(6*time.Hour))
	rival(t, m)
	remove(t, &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: "renew"}})
	r := m.run("", "--apply", "another", "--all-namespaces", "--yes", "-o", "json")
	if got := outcome(t, r); r.code != cli.Findings || got.Outcome != migrate.Untouched || !strings.Contains(strings.Join(got.Why, " "), "CronJob "+other.namespace+"/renew renews pull Secrets, too") {
		t.Errorf("%+v", r)
	}
	other.untouched("with another CronJob's migration")
	rival(t, other)
	r = other.run("", "--apply", "renew", "--force", "--yes", "-o", "json")
	if got := outcome(t, r); r.code != cli.Fine || got.Outcome != migrate.Migrated {
		t.Errorf("by force: %+v", r)
	}
}
