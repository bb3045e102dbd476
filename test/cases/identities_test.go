package cases

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
)

// F08 and F11: other owners of a ServiceAccount, and metadata that is nobody's identity.
func TestOthersOwnTheServiceAccountToo(t *testing.T) {
	apply(t, "F08/case.yaml")
	secret(t, "case-f08", "images", published)
	eventually(t, "the link", func() bool { return linked(t, "case-f08", "app", "images") })
	// As Argo CD and Flux do when they see drift. Where the policy for links is not installed, somebody is told.
	inGit := typed(t, "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: app, namespace: case-f08}\nimagePullSecrets: [{name: quay-push-secret}]\n")
	eventually(t, "the fight to be told", func() bool {
		kubectl(t, "apply", "--server-side", "--force-conflicts", "--field-manager=argocd-controller", "-f", inGit)
		list := &corev1.EventList{}
		if err := world.Client.List(t.Context(), list, client.InNamespace("case-f08"), client.MatchingFields{"involvedObject.name": "images"}); err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(list.Items, func(e corev1.Event) bool {
			return e.Reason == v1alpha1.ReasonContended && strings.Contains(e.Message, "argocd-controller")
		})
	})
	before := secret(t, "case-f08", "images", published)
	for i := range 10 {
		kubectl(t, "annotate", "secret", "-n", "case-f08", "source", fmt.Sprintf("example.com/synced-at=%d", i), "--overwrite")
	}
	rest(t)
	if after := secret(t, "case-f08", "images", published); after.ResourceVersion != before.ResourceVersion {
		t.Error("metadata of the source was published")
	}
}

// F11: what others write on the ServiceAccount of an identity, such as OpenShift's controllers, is nobody's role.
func TestMetadataOfAServiceAccountCostsNoToken(t *testing.T) {
	issuer, err := world.Issuer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := world.AWS.AddRole(cloud.Role{ARN: "arn:aws:iam::123456789012:role/team-a-pull", MayGetToken: true,
		WebIdentity: &cloud.WebIdentity{Issuer: issuer, Subject: "system:serviceaccount:team-a:ecr-puller", Audience: "sts.amazonaws.com"}}); err != nil {
		t.Fatal(err)
	}
	apply(t, "F11/case.yaml")
	before := secret(t, "team-a", "team-a-images", published)
	minted := func() (n int) {
		for _, token := range world.AWS.Tokens() {
			if strings.Contains(token.Principal, "/team-a-pull/") {
				n++
			}
		}
		return n
	}
	tokens := minted()
	if tokens == 0 {
		t.Fatal("no token is the role's")
	}
	const annotation = "openshift.io/internal-registry-pull-secret-ref"
	for i := range 10 {
		kubectl(t, "annotate", "sa", "-n", "team-a", "ecr-puller", fmt.Sprintf("%s=ecr-puller-dockercfg-%d", annotation, i), "--overwrite")
		kubectl(t, "annotate", "sa", "-n", "team-a", "ecr-puller", annotation+"-")
	}
	rest(t)
	if more := minted() - tokens; more > 0 {
		t.Errorf("the annotation of another controller costs %d tokens", more)
	}
	if after := secret(t, "team-a", "team-a-images", published); after.ResourceVersion != before.ResourceVersion {
		t.Error("the annotation of another controller is published")
	}
}

// F12: a job that rotates a password every few minutes, in fast.
func TestAPasswordThatRotatesIsOneSource(t *testing.T) {
	kubectl(t, "create", "namespace", "case-f12")
	kubectl(t, "apply", "-f", typed(t, strings.ReplaceAll(string(read(t, "F08/case.yaml")), "case-f08", "case-f12")))
	secret(t, "case-f12", "images", published)
	rest(t)
	before := sources(t)
	source := &corev1.Secret{}
	source.Namespace, source.Name = "case-f12", "source"
	const versions = 2000
	for i := range versions {
		if err := world.Client.Patch(t.Context(), source, client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"stringData":{"password":"p%d"}}`, i))); err != nil {
			t.Fatal(err)
		}
	}
	last := login("case-bot", fmt.Sprintf("p%d", versions-1))
	secret(t, "case-f12", "images", func(s *corev1.Secret) bool { return strings.Contains(string(s.Data[corev1.DockerConfigJsonKey]), last) })
	eventually(t, "the sources of former passwords to be forgotten", func() bool { return sources(t) <= before })
}

// login is that of a docker config.
func login(username, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(username + ":" + password))
}

// sources are how many the controller remembers.
func sources(t *testing.T) (n int) {
	t.Helper()
	metrics, err := controller.ReadMetrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(metrics) {
		if value, found := strings.CutPrefix(line, "regcred_broker_slots "); found {
			if n, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("regcred_broker_slots is not told")
	return 0
}
