package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/node"
)

// jobControllers run CronJobs and Jobs.
var jobControllers = []string{"cronjob-controller", "job-controller"}

const (
	migrating = "migration"
	renewer   = "renewer" // the CronJob, its ServiceAccount, and the Secret with what it needs
	// renewerImage is that of a known tool of this kind, in whose place test/e2e/renew runs.
	renewerRepository = "nabsul/k8s-ecr-login-renew"
	renewerImage      = "docker.io/" + renewerRepository + ":v1"
	renewerRole       = "arn:aws:iam::" + cloud.DefaultAccount + ":role/" + renewer
	renewerKeyID      = "AKIAE2ERENEWER000000"
)

// migration: a CronJob's Secret goes over to Regcred by `kubectl regcred migrate --apply`, and back by `--rollback`, while pods are created
// all the time: none of their pulls fails, and the Secret is the same object all along.
func migration(ctx context.Context, e *e2e) (outcome, error) {
	var o outcome
	defer e.discard(ctx, migrating)
	secret, err := e.startRenewer(ctx)
	if err != nil {
		return o, err
	}
	running, err := e.bystander(ctx, migrating)
	if err != nil {
		return o, err
	}
	pods, err := e.startStream(ctx, migrating)
	if err != nil {
		return o, err
	}
	took, err := e.thereAndBack(ctx, secret)
	if err != nil {
		return o, err
	}
	through, err := pods.finish(ctx)
	if err != nil {
		return o, err
	}
	o.pods, o.failedPulls = through.pods, count(through.failures)
	o.note("migrate --apply took %.0f s and --rollback %.0f s; %.1f pods a second; the Secret's UID is the same", took[0].Seconds(), took[1].Seconds(), through.perSec)
	if err := through.failed(); err != nil {
		return o, err
	}
	return o, e.stillRuns(ctx, running)
}

// thereAndBack migrates the CronJob, waits for a rotation, and goes back.
func (e *e2e) thereAndBack(ctx context.Context, secret *corev1.Secret) (took [2]time.Duration, err error) {
	ours := func(s *corev1.Secret) bool { return s.Annotations[v1alpha1.AnnotationKeptBy] != "" }
	for i, step := range []struct {
		flag, outcome string
		kept          bool
	}{{"--apply", "Migrated", true}, {"--rollback", "RolledBack", false}} {
		began := time.Now()
		// The emulator's tokens do not say when they end.
		var result struct {
			Outcome string
			Why     []string
		}
		if err := e.kubectlRegcred(ctx, &result, "migrate", step.flag, "--yes", "--namespace="+migrating, "--token-left=0"); err != nil {
			return took, err
		}
		took[i] = time.Since(began)
		if result.Outcome != step.outcome {
			return took, fmt.Errorf("migrate %s: %s: %q", step.flag, result.Outcome, result.Why)
		}
		now := &corev1.Secret{}
		if err := e.lab.Client.Get(ctx, client.ObjectKeyFromObject(secret), now); err != nil {
			return took, err
		}
		job := &batchv1.CronJob{}
		if err := e.lab.Client.Get(ctx, client.ObjectKey{Namespace: migrating, Name: renewer}, job); err != nil {
			return took, err
		}
		if now.UID != secret.UID || ours(now) != step.kept || *job.Spec.Suspend != step.kept {
			return took, fmt.Errorf("after migrate %s: UID %s, before %s; annotations %v; suspended %t", step.flag, now.UID, secret.UID, now.Annotations, *job.Spec.Suspend)
		}
		e.say("  migrate %s took %.1f s", step.flag, took[i].Seconds())
		if step.kept {
			if _, err := e.secretChanged(ctx, now); err != nil {
				return took, fmt.Errorf("waiting for a rotation: %w", err)
			}
		}
	}
	return took, pause(ctx, tokenLife/6) // for pods that pull with what the CronJob has written
}

// startRenewer sets up what the tutorials do, and returns the Secret that the CronJob's first Job has written.
func (e *e2e) startRenewer(ctx context.Context) (*corev1.Secret, error) {
	if err := e.createNamespace(ctx, migrating, false); err != nil {
		return nil, err
	}
	err := e.lab.AWS.AddRole(cloud.Role{
		ARN: renewerRole, MayGetToken: true, Pull: []string{mayPull},
		WebIdentity: &cloud.WebIdentity{Subject: "system:serviceaccount:" + migrating + ":" + renewer, Audience: "sts.amazonaws.com"},
	})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(e.storeRenewer(), e.permitRenewer(ctx)); err != nil {
		return nil, err
	}
	if err := e.lab.Client.Create(ctx, e.renewerCronJob(), client.FieldOwner("kubectl-create")); err != nil {
		return nil, err
	}
	if _, err := e.lab.Kubectl(ctx, "create", "job", "first", "--from=cronjob/"+renewer, "--namespace="+migrating); err != nil {
		return nil, err
	}
	secret, err := e.secret(ctx, migrating, naiveSecret)
	if err != nil {
		return nil, err
	}
	_, err = e.lab.Kubectl(ctx, "patch", "serviceaccount", account, "--namespace="+migrating, `--patch={"imagePullSecrets":[{"name":"`+naiveSecret+`"}]}`)
	return secret, err
}

func (e *e2e) storeRenewer() error {
	image, err := node.Image(filepath.Join(e.lab.Root, "bin", "renew"), renewerImage)
	if err != nil {
		return err
	}
	e.lab.DockerHub.Publish(renewerRepository)
	_, err = e.lab.DockerHub.StoreImage("docker.io", renewerRepository, "v1", image)
	return err
}

// permitRenewer gives the CronJob its rights in the cluster, and a key of a user of the cloud whose tokens live as long as real ones.
func (e *e2e) permitRenewer(ctx context.Context) error {
	e.lab.AWS.AddUser(cloud.User{
		Account: cloud.DefaultAccount, Name: renewer, AccessKeyID: renewerKeyID, SecretAccessKey: operatorSecret,
		MayGetToken: true, Pull: []string{mayPull}, TokenLife: 12 * time.Hour,
	})
	user := "system:serviceaccount:" + migrating + ":" + renewer
	_, kubeconfig, err := e.lab.AddUser(user, nil)
	if err != nil {
		return err
	}
	access, err := os.ReadFile(kubeconfig)
	if err != nil {
		return err
	}
	authority, err := os.ReadFile(e.lab.Internet.CAPath())
	if err != nil {
		return err
	}
	meta := metav1.ObjectMeta{Namespace: migrating, Name: renewer}
	return errors.Join(
		e.createAccount(ctx, migrating, renewer, map[string]string{"eks.amazonaws.com/role-arn": renewerRole}),
		e.lab.Client.Create(ctx, &corev1.Secret{ObjectMeta: meta, Data: map[string][]byte{"kubeconfig": access, "ca.crt": authority}}),
		e.lab.Client.Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "create", "update"}},
		}}),
		e.lab.Client.Create(ctx, &rbacv1.RoleBinding{ObjectMeta: meta,
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: renewer},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}}}))
}

// renewerCronJob runs every 8 hours, as usual.
func (e *e2e) renewerCronJob() *batchv1.CronJob {
	const files = "/etc/renew"
	pod := newPod(migrating, renewer, podOptions{image: renewerImage, account: renewer, pullPolicy: corev1.PullIfNotPresent}).Spec
	pod.Volumes = []corev1.Volume{{Name: "files", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: renewer}}}}
	container := &pod.Containers[0]
	container.VolumeMounts = []corev1.VolumeMount{{Name: "files", MountPath: files}}
	container.Env = []corev1.EnvVar{
		{Name: "KUBECONFIG", Value: files + "/kubeconfig"}, {Name: "NAMESPACE", Value: migrating}, {Name: "SECRET", Value: naiveSecret}, {Name: "REGISTRY", Value: registry},
		{Name: "AWS_REGION", Value: region}, {Name: "AWS_ENDPOINT_URL_ECR", Value: e.lab.AWS.ECRURL()}, {Name: "AWS_CA_BUNDLE", Value: files + "/ca.crt"},
		{Name: "AWS_ACCESS_KEY_ID", Value: renewerKeyID}, {Name: "AWS_SECRET_ACCESS_KEY", Value: operatorSecret},
	}
	return &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Namespace: migrating, Name: renewer},
		Spec: batchv1.CronJobSpec{
			Schedule: "0 */8 * * *", Suspend: new(false),
			JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: pod}}},
		},
	}
}
