package tenants

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeletconfig "k8s.io/kubelet/config/v1"

	"github.com/regcred/regcred/api/v1alpha1"
)

const (
	// pluginName is a plugin for pluginHost that everybody may use. It fails for the repository bad, and never answers for hung.
	pluginName, pluginHost = "everybodys", "plugin.example"

	pluginScript = `#!/bin/sh
request=$(cat)
case $request in
*/bad/*) echo "` + secretWord + `" >&2; exit 1;;
*/hung/*) exec sleep 600;;
esac
echo '{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1","cacheKeyType":"Registry","cacheDuration":"12h",' \
  '"auth":{"` + pluginHost + `":{"username":"me","password":"mine"}}}'
`
)

// installPlugin puts the plugin into a directory, and gives the flags that name it.
func installPlugin(dir string) (flags []string, err error) {
	config, err := json.Marshal(kubeletconfig.CredentialProviderConfig{
		TypeMeta: metav1.TypeMeta{APIVersion: "kubelet.config.k8s.io/v1", Kind: "CredentialProviderConfig"},
		Providers: []kubeletconfig.CredentialProvider{{
			Name: pluginName, APIVersion: "credentialprovider.kubelet.k8s.io/v1", MatchImages: []string{pluginHost},
			DefaultCacheDuration: &metav1.Duration{Duration: 12 * time.Hour},
			TokenAttributes: &kubeletconfig.ServiceAccountTokenAttributes{
				ServiceAccountTokenAudience: "sts.amazonaws.com", CacheType: kubeletconfig.ServiceAccountServiceAccountTokenCacheType, RequireServiceAccount: new(true),
			},
		}},
	})
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "plugins.json")
	if err := os.WriteFile(filepath.Join(dir, pluginName), []byte(pluginScript), 0o700); err != nil {
		return nil, err
	}
	return []string{"--image-credential-provider-config=" + path, "--image-credential-provider-bin-dir=" + dir}, os.WriteFile(path, config, 0o600)
}

// plugged is an entry of everybody's plugin.
func plugged(repository string) v1alpha1.Registry {
	return v1alpha1.Registry{
		Name: "plugin", Plugin: &v1alpha1.Plugin{Name: pluginName, Image: pluginHost + "/" + repository + "/app"}, Identity: accountRef("default"),
	}
}

// entryAbuses are entries that their provider has no answer to, beside good ones at the same place.
var entryAbuses = []abuse{
	{name: "a plugin that fails for what it is asked", storm: true, do: func(u *tenant) {
		u.manyCredentials(20, 1, func(int) v1alpha1.Registry { return plugged("bad") })
	}, says: func(u *tenant) { u.ready("many-0", v1alpha1.ReasonUnavailable) }},
	{name: "a plugin that does not answer what it is asked", storm: true, do: func(u *tenant) {
		u.manyCredentials(20, 1, func(int) v1alpha1.Registry { return plugged("hung") })
	}},
	{name: "a region without the endpoints that are asked for", storm: true, do: func(u *tenant) {
		u.roleFor("puller")
		u.manyCredentials(10, 1, func(i int) v1alpha1.Registry {
			entry := regional(i, accountRef("puller"), "")
			entry.ECR.FIPS = true
			return entry
		})
	}, says: func(u *tenant) { u.ready("many-0", v1alpha1.ReasonUnavailable) }},
}
