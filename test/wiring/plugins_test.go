package wiring

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeletconfig "k8s.io/kubelet/config/v1"

	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/plugins"
)

const (
	// tenantsPlugin is the kubelet's plugin for ECR under a second name, which acts for ServiceAccounts only.
	tenantsPlugin     = "ecr-for-tenants"
	tenantsAnnotation = "eks.amazonaws.com/ecr-role-arn"
)

// pluginUser is whose access key the plugin's configuration holds.
var pluginUser = cloud.User{
	Account: cloud.DefaultAccount, Name: "plugin", AccessKeyID: "AKIAPLUGIN", SecretAccessKey: cloud.CanarySTS + "plugin", MayGetToken: true, Pull: []string{"*"},
}

// installPlugins puts the kubelet's own plugin for ECR, as others have written it, into dir, and gives the flags that name it.
func installPlugins(ctx context.Context, dir string) (flags []string, err error) {
	executable, err := plugins.Path(ctx, plugins.ECR)
	if err != nil {
		return nil, err
	}
	pluginCloud.AddUser(pluginUser)
	config, bin := filepath.Join(dir, "plugins.json"), filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return nil, err
	}
	for _, name := range []string{plugins.ECR, tenantsPlugin} {
		if err := os.Symlink(executable, filepath.Join(bin, name)); err != nil {
			return nil, err
		}
	}
	raw, err := json.Marshal(pluginConfig())
	if err != nil {
		return nil, err
	}
	return []string{"--image-credential-provider-config=" + config, "--image-credential-provider-bin-dir=" + bin}, os.WriteFile(config, raw, 0o600)
}

func pluginConfig() kubeletconfig.CredentialProviderConfig {
	// The plugin repeats calls by itself, unless it is told not to.
	env := []kubeletconfig.ExecEnvVar{{Name: "AWS_MAX_ATTEMPTS", Value: "1"}}
	for _, variable := range pluginCloud.Env() {
		name, value, _ := strings.Cut(variable, "=")
		if name != "AWS_ACCESS_KEY_ID" && name != "AWS_SECRET_ACCESS_KEY" {
			env = append(env, kubeletconfig.ExecEnvVar{Name: name, Value: value})
		}
	}
	own := kubeletconfig.CredentialProvider{
		Name: plugins.ECR, APIVersion: "credentialprovider.kubelet.k8s.io/v1",
		MatchImages: []string{"*.dkr.ecr.*.amazonaws.com"}, DefaultCacheDuration: &metav1.Duration{Duration: time.Hour},
		Env: append(slices.Clone(env), kubeletconfig.ExecEnvVar{Name: "AWS_ACCESS_KEY_ID", Value: pluginUser.AccessKeyID},
			kubeletconfig.ExecEnvVar{Name: "AWS_SECRET_ACCESS_KEY", Value: pluginUser.SecretAccessKey}),
	}
	tenants := own
	tenants.Name, tenants.Env = tenantsPlugin, env
	tenants.TokenAttributes = &kubeletconfig.ServiceAccountTokenAttributes{
		ServiceAccountTokenAudience: "sts.amazonaws.com", CacheType: kubeletconfig.ServiceAccountServiceAccountTokenCacheType,
		RequireServiceAccount: new(true), RequiredServiceAccountAnnotationKeys: []string{tenantsAnnotation},
	}
	return kubeletconfig.CredentialProviderConfig{
		TypeMeta:  metav1.TypeMeta{APIVersion: "kubelet.config.k8s.io/v1", Kind: "CredentialProviderConfig"},
		Providers: []kubeletconfig.CredentialProvider{own, tenants},
	}
}
