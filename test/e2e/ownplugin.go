package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeletv1 "k8s.io/kubelet/config/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/plugins"
)

const (
	pluginNamespace = "kubelet-plugin"
	pluginRole      = "arn:aws:iam::" + cloud.DefaultAccount + ":role/" + pluginNamespace
	// pluginRegion is where nothing else of this run pulls from: the kubelet has the plugin all the time.
	pluginRegion = "eu-central-1"
)

// installKubeletPlugin has `kubectl regcred export kubelet` configure the kubelet for the plugin of ECR that others have written, and
// returns the flags with which that is done.
func (e *e2e) installKubeletPlugin(ctx context.Context) (flags []string, err error) {
	executable, err := plugins.Path(ctx, plugins.ECR)
	if err != nil {
		return nil, err
	}
	bin := filepath.Join(e.dir, "kubelet-plugins")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return nil, err
	}
	exported, err := e.exportKubelet(ctx)
	if err != nil {
		return nil, err
	}
	e.exported = exported
	if len(exported.Config.Providers) != 1 || exported.Role == nil || exported.Binding == nil {
		return nil, fmt.Errorf("export kubelet gives %d plugins, role %v, binding %v", len(exported.Config.Providers), exported.Role, exported.Binding)
	}
	p := &exported.Config.Providers[0]
	if err := os.Symlink(executable, filepath.Join(bin, p.Name)); err != nil {
		return nil, err
	}
	// The cloud is on this machine, and the node has no identity of its own.
	for _, variable := range append(e.lab.Internet.Env(), e.lab.AWS.Env()...) {
		name, value, _ := strings.Cut(variable, "=")
		if name != "AWS_ACCESS_KEY_ID" && name != "AWS_SECRET_ACCESS_KEY" {
			p.Env = append(p.Env, kubeletv1.ExecEnvVar{Name: name, Value: value})
		}
	}
	config, err := yaml.Marshal(exported.Config)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(e.dir, "kubelet-plugins.yaml")
	return []string{"--image-credential-provider-config=" + path, "--image-credential-provider-bin-dir=" + bin}, os.WriteFile(path, config, 0o600)
}

// exported is what `kubectl regcred export kubelet` prints.
type exported struct {
	Config      *kubeletv1.CredentialProviderConfig `json:"config"`
	Role        *rbacv1.ClusterRole                 `json:"clusterRole"`
	Binding     *rbacv1.ClusterRoleBinding          `json:"clusterRoleBinding"`
	Annotations map[string]string                   `json:"annotations"`
}

// exportKubelet exports a credential that is in no cluster.
func (e *e2e) exportKubelet(ctx context.Context) (*exported, error) {
	credential := ownCredential(pluginNamespace)
	credential.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.KindRegistryCredential}
	credential.Spec.Registries[0].ECR.Region = pluginRegion
	raw, err := json.Marshal(credential)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(e.dir, "exported.json")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return nil, err
	}
	x := &exported{}
	return x, e.kubectlRegcred(ctx, x, "export", "kubelet", "--filename="+file)
}

// ownPlugin: a pod pulls by the kubelet's own plugin as `export kubelet` has configured it, with no Secret in its namespace. One whose
// ServiceAccount lacks the annotation does not.
func ownPlugin(ctx context.Context, e *e2e) (outcome, error) {
	var o outcome
	defer e.discard(ctx, pluginNamespace)
	host := cloud.ECRHost(cloud.DefaultAccount, pluginRegion)
	if err := errors.Join(e.createNamespace(ctx, pluginNamespace, false), e.seed(host, repository), e.admitPlugin(ctx)); err != nil {
		return o, err
	}
	options := podOptions{account: own, image: host + "/" + repository + ":v1"}
	pod, err := e.createAndRun(ctx, pluginNamespace, doomed, options)
	if err != nil {
		return o, err
	}
	secrets := &corev1.SecretList{}
	if err := e.lab.Client.List(ctx, secrets, client.InNamespace(pluginNamespace)); err != nil {
		return o, err
	}
	if len(secrets.Items) > 0 || len(pod.Spec.ImagePullSecrets) > 0 {
		return o, fmt.Errorf("there are %d Secrets, and the pod names %v", len(secrets.Items), pod.Spec.ImagePullSecrets)
	}
	if err := e.createPod(ctx, pluginNamespace, "unannotated", podOptions{image: options.image}); err != nil {
		return o, err
	}
	if _, err := e.refused(ctx, pluginNamespace, "unannotated"); err != nil {
		return o, err
	}
	o.note("export kubelet and ecr-credential-provider: a pod pulls without any Secret; one whose ServiceAccount has no role does not")
	refused, err := e.besideExpired(ctx, options)
	if err != nil {
		return o, fmt.Errorf("beside an expired Secret: %w", err)
	}
	o.pods, o.failedPulls = 3, 1
	o.note("beside a Secret that has expired: the pod runs at its first pull, after %d requests that the registry refused", refused)
	return o, nil
}

// besideExpired: the kubelet tries the login of a Secret first, and that of its plugin when the registry has refused it.
func (e *e2e) besideExpired(ctx context.Context, options podOptions) (refused int, err error) {
	password, err := e.login(ctx, pluginRegion)
	if err != nil {
		return 0, err
	}
	host, _, _ := strings.Cut(options.image, "/")
	secret, err := loginSecret(pluginNamespace, host, password)
	if err != nil {
		return 0, err
	}
	if err := e.lab.Client.Create(ctx, secret); err != nil {
		return 0, err
	}
	if !e.lab.AWS.Revoke(password) {
		return 0, errors.New("the registry does not know the token")
	}
	const pod = "beside-expired"
	options.pullSecrets = []string{secret.Name}
	expired := e.expiredTokens()
	if _, err := e.createAndRun(ctx, pluginNamespace, pod, options); err != nil {
		return 0, err
	}
	failures, err := e.failedPulls(ctx, pluginNamespace)
	if err != nil {
		return 0, err
	}
	if slices.ContainsFunc(failures, func(f failedPull) bool { return f.pod == pod }) {
		return 0, fmt.Errorf("its pull failed%s", firstOf(failures))
	}
	if refused = e.expiredTokens() - expired; refused == 0 {
		return 0, errors.New("the expired token was not tried")
	}
	return refused, nil
}

// admitPlugin does what `export kubelet` says beside the kubelet's configuration: the role in the cloud, the annotation, and the right of
// kubelets to ask for tokens.
func (e *e2e) admitPlugin(ctx context.Context) error {
	if err := e.identity(ctx, pluginNamespace, pluginRole, true, mayPull); err != nil {
		return err
	}
	annotations := map[string]string{}
	for key, value := range e.exported.Annotations {
		annotations[key] = strings.ReplaceAll(value, "ROLE-ARN", pluginRole)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	if err != nil {
		return err
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: pluginNamespace, Name: own}}
	return errors.Join(e.lab.Client.Patch(ctx, account, client.RawPatch("application/merge-patch+json", patch)),
		e.lab.Client.Create(ctx, e.exported.Role), e.lab.Client.Create(ctx, e.exported.Binding))
}
