// Package plugin gets tokens from credential provider plugins of the kubelet, by their exec protocol
// (credentialprovider.kubelet.k8s.io/v1).
package plugin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	kubeletconfig "k8s.io/kubelet/config/v1"
	credentialprovider "k8s.io/kubelet/pkg/apis/credentialprovider/v1"
	"k8s.io/utils/clock"

	"github.com/regcred/regcred/providers"
)

// Name is the union member of this provider.
const Name = "plugin"

// Provider asks the plugins that the administrator has configured.
type Provider struct {
	clock   clock.PassiveClock
	plugins map[string]*plugin
}

// plugin is one that is configured.
type plugin struct {
	program
	name   string
	images []pattern
	config kubeletconfig.CredentialProvider
}

// New returns a provider of the plugins in binDir, as a kubelet's with the same --image-credential-provider-config and
// --image-credential-provider-bin-dir. Both are read here, once.
func New(configPath, binDir string, c clock.PassiveClock) (*Provider, error) {
	if configPath == "" || binDir == "" {
		return nil, errors.New("--image-credential-provider-config and --image-credential-provider-bin-dir belong together: set both or neither")
	}
	binDir, err := filepath.Abs(binDir)
	if err != nil {
		return nil, fmt.Errorf("--image-credential-provider-bin-dir: %w", err)
	}
	configs, err := readConfig(configPath)
	if err != nil {
		return nil, fmt.Errorf("--image-credential-provider-config: %w", err)
	}
	p := &Provider{clock: c, plugins: make(map[string]*plugin, len(configs))}
	for _, config := range configs {
		if p.plugins[config.Name], err = newPlugin(config, filepath.Join(binDir, config.Name)); err != nil {
			return nil, fmt.Errorf("--image-credential-provider-bin-dir: plugin %s: %w", config.Name, err)
		}
	}
	return p, nil
}

func newPlugin(config kubeletconfig.CredentialProvider, path string) (*plugin, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return nil, fmt.Errorf("%s is not an executable file", path)
	}
	p := &plugin{
		name: config.Name, config: config,
		program: program{path: path, args: config.Args, env: inheritedEnv(), turns: make(chan struct{}, maxAtOnce)},
	}
	for _, e := range config.Env {
		p.env = append(p.env, e.Name+"="+e.Value)
	}
	for _, m := range config.MatchImages {
		image, err := parsePattern(m)
		if err != nil {
			return nil, err
		}
		p.images = append(p.images, image)
	}
	return p, nil
}

// Token executes the plugin that req names, once.
func (p *Provider) Token(ctx context.Context, req providers.Request) (providers.Token, error) {
	spec := req.Registry.Plugin
	asked, ok := p.plugins[spec.Name]
	if !ok {
		return providers.Token{}, notConfigured(spec.Name, slices.Sorted(maps.Keys(p.plugins)))
	}
	image, err := parseImage(spec.Image)
	if err != nil {
		return providers.Token{}, err
	}
	if !slices.ContainsFunc(asked.images, func(m pattern) bool { return m.matches(image.pattern) }) {
		return providers.Token{}, noMatch(asked, image.name)
	}
	all, err := targets(image, spec.Hosts)
	if err != nil {
		return providers.Token{}, err
	}
	from, err := asked.subject(ctx, req.Identity, p.clock.Now())
	if err != nil {
		return providers.Token{}, err
	}
	response, err := asked.ask(ctx, image.name, from)
	if err != nil {
		return providers.Token{}, err
	}
	logins, err := asked.logins(all, response)
	if err != nil {
		return providers.Token{}, err
	}
	expiresAt, err := asked.expiry(response, logins, from, p.clock.Now())
	if err != nil {
		return providers.Token{}, err
	}
	return providers.Token{Logins: logins, ExpiresAt: expiresAt}, nil
}

var (
	protocol = runtime.NewScheme()
	// A later kubelet's plugin may say more than we know of: fields that are unknown here are no error.
	codecs     = serializer.NewCodecFactory(protocol)
	jsonFormat = json.NewSerializerWithOptions(json.DefaultMetaFactory, protocol, protocol, json.SerializerOptions{})
	encoder    = codecs.EncoderForVersion(jsonFormat, credentialprovider.SchemeGroupVersion)
)

func init() {
	if err := credentialprovider.AddToScheme(protocol); err != nil {
		panic(err)
	}
}

// runAloud logs what the plugin says to people, for those who debug it.
func (p *plugin) runAloud(ctx context.Context, request []byte, token string) ([]byte, error) {
	logger := logr.FromContextOrDiscard(ctx).V(1)
	if !logger.Enabled() {
		return p.run(ctx, request, nil)
	}
	said := &words{}
	answer, err := p.run(ctx, request, said)
	secrets := []string{token}
	for _, e := range p.config.Env {
		secrets = append(secrets, e.Value)
	}
	if text := forPeople(said.text.String(), secrets...); text != "" {
		logger.Info("A plugin wrote to its standard error", "plugin", p.name, "text", text)
	}
	return answer, err
}

func (p *plugin) ask(ctx context.Context, image string, from subject) (*credentialprovider.CredentialProviderResponse, error) {
	request, err := runtime.Encode(encoder, &credentialprovider.CredentialProviderRequest{
		Image: image, ServiceAccountToken: from.token, ServiceAccountAnnotations: from.annotations,
	})
	if err != nil {
		return nil, p.invalidResponse("was not asked, since the request does not encode; please report this as a bug")
	}
	answer, err := p.runAloud(ctx, request, from.token)
	if err != nil {
		return nil, p.explain(image, err)
	}
	return p.understand(answer)
}

// understand reads an answer.
func (p *plugin) understand(answer []byte) (*credentialprovider.CredentialProviderResponse, error) {
	object, _, err := jsonFormat.Decode(answer, nil, nil)
	response, ok := object.(*credentialprovider.CredentialProviderResponse)
	if err != nil || !ok {
		return nil, p.invalidResponse("did not answer with a CredentialProviderResponse of " + credentialprovider.SchemeGroupVersion.String())
	}
	switch response.CacheKeyType {
	case credentialprovider.ImagePluginCacheKeyType, credentialprovider.RegistryPluginCacheKeyType, credentialprovider.GlobalPluginCacheKeyType:
		return response, nil
	default:
		// The kubelet does not use such an answer.
		return nil, p.invalidResponse("answered without a valid cacheKeyType")
	}
}
