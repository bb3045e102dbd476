package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cli"
	"github.com/regcred/regcred/controllers/pullsecret"
	"github.com/regcred/regcred/providers"
)

const ecrHost = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"

// unauthorized is what containerd says of a registry that takes no login.
const unauthorized = `failed to pull and unpack image: failed to resolve reference: unexpected status from HEAD request: 401 Unauthorized`

// pods makes pods that wait for an image.
type pods struct {
	t         *testing.T
	namespace string
}

func (p pods) waits(name, image, words string, change func(*corev1.Pod)) {
	p.t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: name},
		Spec:       corev1.PodSpec{ServiceAccountName: "default", Containers: []corev1.Container{{Name: "app", Image: image}}},
		Status: corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
			Name: "app", Image: image, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: words}},
		}}},
	}
	if change != nil {
		change(pod)
	}
	create(p.t, pod)
}

func names(secrets ...string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		for _, name := range secrets {
			p.Spec.ImagePullSecrets = append(p.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
		}
	}
}

// pullSecret is a Secret of team-a that nobody looks after.
func pullSecret(t *testing.T, name, config string) {
	t.Helper()
	create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: name}, Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(config)}})
}

func authFor(host, username, password string) string {
	return fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, base64.StdEncoding.EncodeToString([]byte(username+":"+password)))
}

// ecrToken is a token of ECR that ends at a time by its own account.
func ecrToken(ends time.Time) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"payload":%q,"version":"2","type":"DATA_KEY","expiration":%d}`, canary, ends.Unix()))
}

// kept writes the Secret of a credential as the controller does.
func kept(t *testing.T, namespace string, o client.Object, kind string, expiresAt time.Time) {
	t.Helper()
	token := providers.Token{Logins: []providers.Login{{Username: "AWS", Password: providers.Sensitive(ecrToken(expiresAt)), Hosts: []string{ecrHost}}},
		IssuedAt: expiresAt.Add(-12 * time.Hour), ExpiresAt: expiresAt}
	secret, err := pullsecret.Compose(types.NamespacedName{Namespace: namespace, Name: o.GetName()}, pullsecret.Owner{Kind: kind, Name: o.GetName(), UID: o.GetUID()}, nil,
		[]pullsecret.Part{{Record: pullsecret.NewRecord("prod", "0a1b", token), Auths: pullsecret.AuthsOf(token)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.Create(t.Context(), secret, client.FieldOwner(v1alpha1.FieldManager)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, secret) })
}

// serving is a credential of team-a that links its default ServiceAccount.
func serving(t *testing.T, name string) *v1alpha1.RegistryCredential {
	t.Helper()
	o := &v1alpha1.RegistryCredential{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: name},
		Spec: v1alpha1.CredentialSpec{
			Registries:      []v1alpha1.Registry{{Name: "prod", ECR: &v1alpha1.ECR{Region: "eu-west-1"}}},
			ServiceAccounts: &v1alpha1.ServiceAccounts{Names: []string{"default"}},
		},
	}
	create(t, o)
	return o
}

// seedWhy makes a namespace in which pulls fail in as many ways as there are.
func seedWhy(t *testing.T) string {
	t.Helper()
	const namespace = "team-a"
	p := pods{t, namespace}
	image := ecrHost + "/team/app:1"
	create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "default"},
		ImagePullSecrets: []corev1.LocalObjectReference{{Name: "live"}}})
	kept(t, namespace, serving(t, "live"), v1alpha1.KindRegistryCredential, now.Add(6*time.Hour))
	pullSecret(t, "hub", authFor("https://index.docker.io/v1/", "robot", canary))
	pullSecret(t, "broken", `{"auths":{"ghcr.io":{"auth":"`+canary+`!"}}}`)
	pullSecret(t, "old", authFor("210987654321.dkr.ecr.eu-west-1.amazonaws.com", "AWS", ecrToken(now.Add(-time.Hour))))
	create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "opaque"}, Data: map[string][]byte{"a": []byte(canary)}})

	p.waits("before-link", image, unauthorized, nil)
	p.waits("own-list", image, unauthorized, names("hub"))
	p.waits("named", image, unauthorized, names("live"))
	p.waits("no-such-image", image, "failed to resolve reference: not found", names("live"))
	p.waits("no-route", image, "dial tcp: lookup example: no such host", names("live"))
	p.waits("missing", "ghcr.io/acme/app:1", unauthorized, names("gone"))
	p.waits("broken", "ghcr.io/acme/app:1", unauthorized, names("broken", "hub"))
	p.waits("opaque", "ghcr.io/acme/app:1", unauthorized, names("opaque"))
	pullSecret(t, "empty", `{"ghcr.io":{}}`)
	p.waits("empty", "ghcr.io/acme/app:1", unauthorized, names("empty"))
	p.waits("expired", "210987654321.dkr.ecr.eu-west-1.amazonaws.com/app:1", unauthorized, names("old"))
	p.waits("uncovered", "ghcr.io/acme/app:1", unauthorized, names("live"))
	p.waits("denied", "docker.io/acme/app:1", unauthorized, names("hub"))
	p.waits("odd", "ghcr.io/acme/\x1b[31mapp", unauthorized, nil)
	return namespace
}

func TestWhyNamesTheCauses(t *testing.T) {
	namespace := seedWhy(t)
	for pod, want := range map[string]struct {
		cause string
		code  int
	}{
		"before-link":   {v1alpha1.CausePodBeforeLink, cli.Findings},
		"own-list":      {v1alpha1.CausePodNamesOwnSecrets, cli.Findings},
		"named":         {v1alpha1.CauseUndecided, cli.Undecided},
		"no-such-image": {v1alpha1.CauseImageNotFound, cli.Findings},
		"no-route":      {v1alpha1.CauseUnreachable, cli.Findings},
		"missing":       {"SecretMissing", cli.Findings},
		"broken":        {"SecretMalformed", cli.Findings},
		"opaque":        {"SecretOfWrongType", cli.Findings},
		"empty":         {"SecretEmpty", cli.Findings},
		"expired":       {"LoginExpired", cli.Findings},
		"uncovered":     {v1alpha1.CauseNotCovered, cli.Findings},
		"denied":        {v1alpha1.CauseUndecided, cli.Undecided},
		"odd":           {v1alpha1.CauseOther, cli.Findings},
	} {
		r := run(t, "why", "pod/"+pod, "-n", namespace, "--node-provider=none", "-o", "json")
		var report struct {
			Pulls []struct{ Cause, Note string }
		}
		if err := json.Unmarshal([]byte(r.stdout), &report); err != nil {
			t.Fatalf("%s: %v: %+v", pod, err, r)
		}
		if got := report.Pulls[0]; got.Cause != want.cause || r.code != want.code {
			t.Errorf("%s: %s, exit code %d: %s", pod, got.Cause, r.code, got.Note)
		}
		human := run(t, "why", "pod/"+pod, "-n", namespace, "--node-provider=none")
		golden(t, "why-"+pod+".txt", human.stdout)
		if strings.Contains(human.stdout+r.stdout, canary) || strings.Contains(human.stdout, "\x1b") {
			t.Errorf("%s shows what it must not: %s", pod, human.stdout)
		}
	}
}

func TestWhyOfAllPodsIsGrouped(t *testing.T) {
	namespace := seedWhy(t)
	pods{t, namespace}.waits("before-link-2", ecrHost+"/team/app:1", unauthorized, nil)
	r := run(t, "why", "-n", namespace)
	golden(t, "why.txt", r.stdout)
	if r.code != cli.Findings || !strings.Contains(r.stdout, "who: pod/before-link, pod/before-link-2 in namespace team-a") {
		t.Errorf("%+v", r)
	}
}

func TestWhyOfWhatIsNotThere(t *testing.T) {
	for argument, want := range map[string]string{
		"pod/none": "there is no pod/none in namespace team-b", "deploy/none": "there is no deploy/none in namespace team-b",
		"svc/UPPER": "neither an image nor", "services/web": "neither an image nor", "pod/": "pod/: write pod/ and a name", "deploy/a/b": "deploy/a/b: write deploy/ and a name",
		"rs/none": "there is no rs/none", "replicaset.apps/none": "there is no rs/none", "Deployment.apps/none": "there is no deploy/none", "jobs.batch/none": "there is no job/none",
	} {
		if r := run(t, "why", argument, "-n", "team-b"); r.code != cli.Failure || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: %+v", argument, r)
		}
	}
	if r := run(t, "why", "-n", "team-b"); r.code != cli.Fine || r.stdout != "No pod waits for an image.\n" {
		t.Errorf("%+v", r)
	}
}

func TestWhyOfAnImage(t *testing.T) {
	seedWhy(t)
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{ecrHost + "/team/app:1"}, cli.Fine},
		{[]string{"ghcr.io/acme/app:1"}, cli.Findings},
		{[]string{"210987654321.dkr.ecr.us-east-1.amazonaws.com/app", "--node-provider=none"}, cli.Findings},
		{[]string{"210987654321.dkr.ecr.us-east-1.amazonaws.com/app", "--node-provider=ecr"}, cli.Undecided},
		{[]string{ecrHost + "/team/app:1", "--sa=none"}, cli.Findings},
	} {
		if r := run(t, append([]string{"why", "-n", "team-a"}, c.args...)...); r.code != c.code {
			t.Errorf("%q: exit code %d, want %d\n%s%s", c.args, r.code, c.code, r.stdout, r.stderr)
		}
	}
}

// Who may not read Secrets gets the answer from what the credentials report.
func TestWhyWithoutTheRightToReadSecrets(t *testing.T) {
	namespace := seedWhy(t)
	o := credential(t, "live")
	o.Status = v1alpha1.CredentialStatus{Registries: []v1alpha1.RegistryStatus{{Name: "prod", Hosts: []string{ecrHost}, ExpiresAt: &metav1.Time{Time: now.Add(time.Hour)}}}}
	if err := admin.Status().Update(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	_, viewer, err := cp.AddUser("viewer", nil)
	if err != nil {
		t.Fatal(err)
	}
	read := []string{"get", "list"}
	grant(t, namespace, "viewer", rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods", "serviceaccounts", "events"}, Verbs: read},
		rbacv1.PolicyRule{APIGroups: []string{"regcred.dev"}, Resources: []string{"registrycredentials"}, Verbs: read})
	r := as(t, viewer, "", "why", "pod/before-link", "-n", namespace)
	golden(t, "why-viewer.txt", r.stdout)
	if r.code != cli.Findings || !strings.Contains(r.stdout, "PodBeforeLink") || !strings.Contains(r.stdout, "not read: secrets in namespace team-a") {
		t.Errorf("%+v", r)
	}
}

// Who answered the kubelet is a link of its own where it is not the image's registry.
func TestWhyNamesAMirror(t *testing.T) {
	p := pods{t, "team-a"}
	p.waits("mirrored", "ghcr.io/acme/app:v1", "unexpected status from HEAD request to https://mirror.example/v2/acme/app/manifests/v1?ns=ghcr.io: 401 Unauthorized", names("gone"))
	p.waits("direct", "ghcr.io/acme/app:v1", "unexpected status from HEAD request to https://ghcr.io/v2/acme/app/manifests/v1: 401 Unauthorized", names("gone"))
	if r := run(t, "why", "pod/mirrored", "-n", "team-a"); strings.Count(r.stdout, "  mirror: mirror.example answered the kubelet for ghcr.io: ") != 1 {
		t.Errorf("%+v", r)
	}
	if r := run(t, "why", "pod/direct", "-n", "team-a"); strings.Contains(r.stdout, "mirror") {
		t.Errorf("%+v", r)
	}
}
