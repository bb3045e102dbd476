package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeletconfig "k8s.io/kubelet/config/v1"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/providers"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/plugins"
)

const (
	ecrHost = cloud.DefaultAccount + ".dkr.ecr.eu-west-1.amazonaws.com"
	// tenants is the same plugin under a second name, which acts for ServiceAccounts only.
	tenants = "ecr-for-tenants"

	pullRole    = "arn:aws:iam::123456789012:role/pull"
	roleKey     = "eks.amazonaws.com/ecr-role-arn"
	pullSubject = "system:serviceaccount:team-a:puller"
)

var ecrPlugin = sync.OnceValues(func() (string, error) { return plugins.Path(context.Background(), plugins.ECR) })

// startECR starts a cloud, and a provider with the kubelet's own plugin for it, as others have written it.
func startECR(t *testing.T) (*Provider, *cloud.AWS) {
	t.Helper()
	aws, err := cloud.StartAWS(cloud.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = aws.Close() })
	// The plugin repeats calls by itself, unless it is told not to: repetition is the Broker's.
	own := []kubeletconfig.ExecEnvVar{{Name: "AWS_MAX_ATTEMPTS", Value: "1"}}
	for _, variable := range aws.Env() {
		name, value, _ := strings.Cut(variable, "=")
		own = append(own, kubeletconfig.ExecEnvVar{Name: name, Value: value})
	}
	noCredentials := slices.DeleteFunc(slices.Clone(own), func(e kubeletconfig.ExecEnvVar) bool {
		return e.Name == "AWS_ACCESS_KEY_ID" || e.Name == "AWS_SECRET_ACCESS_KEY"
	})
	config := kubeletconfig.CredentialProvider{
		Name: plugins.ECR, APIVersion: "credentialprovider.kubelet.k8s.io/v1", Env: own,
		MatchImages: []string{"*.dkr.ecr.*.amazonaws.com"}, DefaultCacheDuration: &metav1.Duration{Duration: time.Hour},
	}
	forTenants := config
	forTenants.Name, forTenants.Env = tenants, noCredentials
	forTenants.TokenAttributes = &kubeletconfig.ServiceAccountTokenAttributes{
		ServiceAccountTokenAudience: "sts.amazonaws.com", CacheType: kubeletconfig.ServiceAccountServiceAccountTokenCacheType,
		RequireServiceAccount: new(true), RequiredServiceAccountAnnotationKeys: []string{roleKey},
	}
	raw, err := json.Marshal(kubeletconfig.CredentialProviderConfig{
		TypeMeta:  metav1.TypeMeta{APIVersion: "kubelet.config.k8s.io/v1", Kind: "CredentialProviderConfig"},
		Providers: []kubeletconfig.CredentialProvider{config, forTenants},
	})
	if err != nil {
		t.Fatal(err)
	}
	dir, bin := files(t, map[string]string{"plugins.json": string(raw)})
	executable, err := ecrPlugin()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{plugins.ECR, tenants} {
		if err := os.Symlink(executable, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := New(dir, bin, clock.RealClock{})
	if err != nil {
		t.Fatal(err)
	}
	return p, aws
}

func ecrRequest(plugin string, id providers.Identity) providers.Request {
	return providers.Request{
		Registry: v1alpha1.Registry{Name: "prod", Plugin: &v1alpha1.Plugin{Name: plugin, Image: ecrHost + "/team/app"}}, Identity: id,
	}
}

func pull(ctx context.Context, aws *cloud.AWS, token providers.Token) error {
	if _, err := aws.SeedImage(ecrHost, "team/app", "v1"); err != nil {
		return err
	}
	config := fmt.Sprintf(`{"auths":{%q:{"username":%q,"password":%q}}}`, ecrHost, token.Logins[0].Username, token.Logins[0].Password.Reveal())
	_, err := cloud.Pull(ctx, aws.Transport(), []byte(config), ecrHost+"/team/app:v1")
	return err
}

func TestTheKubeletsECRPluginIsAProvider(t *testing.T) {
	p, aws := startECR(t)
	token, err := p.Token(t.Context(), ecrRequest(plugins.ECR, providers.Identity{}))
	if err != nil {
		t.Fatal(err)
	}
	if err := pull(t.Context(), aws, token); err != nil {
		t.Errorf("pulling: %v", err)
	}
	// The plugin vouches for half of the token's 12 hours.
	if life := time.Until(token.ExpiresAt); life < 6*time.Hour-time.Minute || life > 6*time.Hour+time.Minute {
		t.Errorf("it lives for %s", life)
	}
}

func TestTheKubeletsECRPluginActsForAServiceAccount(t *testing.T) {
	p, aws := startECR(t)
	if err := aws.AddRole(cloud.Role{ARN: pullRole, MayGetToken: true, Pull: []string{"*"},
		WebIdentity: &cloud.WebIdentity{Issuer: "https://cluster.example", Subject: pullSubject, Audience: "sts.amazonaws.com"}}); err != nil {
		t.Fatal(err)
	}
	id := providers.Identity{ServiceAccount: &providers.ServiceAccount{
		Namespace: "team-a", Name: "puller", UID: "1", Annotations: map[string]string{roleKey: pullRole},
		RequestToken: func(_ context.Context, audience string, lifetime time.Duration) (string, error) {
			return cloud.WebIdentityToken("https://cluster.example", pullSubject, audience, time.Now().Add(lifetime))
		},
	}}
	token, err := p.Token(t.Context(), ecrRequest(tenants, id))
	if err != nil {
		t.Fatal(err)
	}
	if err := pull(t.Context(), aws, token); err != nil {
		t.Errorf("pulling: %v", err)
	}
	if issued := aws.Tokens(); len(issued) != 1 || !strings.Contains(issued[0].Principal, "assumed-role/pull/") {
		t.Errorf("the token is not the role's: %d issued", len(issued))
	}

	id.ServiceAccount.Annotations = nil
	if _, err := p.Token(t.Context(), ecrRequest(tenants, id)); reason(t, err) != v1alpha1.ReasonIdentityInvalid || !strings.Contains(err.Error(), roleKey) {
		t.Errorf("without the annotation: %v", err)
	}
	if len(aws.Tokens()) != 1 {
		t.Error("a ServiceAccount without a role has got a token")
	}
}
