package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeletconfig "k8s.io/kubelet/config/v1"

	"github.com/regcred/regcred/test/plugins"
)

func (b *bench) pluginDir() string    { return filepath.Join(b.scratch, "plugins") }
func (b *bench) executionLog() string { return filepath.Join(b.scratch, "executions") }

// pluginFlags tell the controller of the plugin that installPlugin has installed.
func (b *bench) pluginFlags() []string {
	return []string{
		"--image-credential-provider-config=" + filepath.Join(b.scratch, "plugins.json"),
		"--image-credential-provider-bin-dir=" + b.pluginDir(),
	}
}

// installPlugin installs the kubelet's own plugin for ECR, as others have written it, behind a script that writes a line for each execution.
func (b *bench) installPlugin(ctx context.Context) error {
	executable, err := plugins.Path(ctx, plugins.ECR)
	if err != nil {
		return err
	}
	if err := os.Mkdir(b.pluginDir(), 0o700); err != nil {
		return err
	}
	script := fmt.Sprintf("#!/bin/sh\necho executed >>%q\nexec %q \"$@\"\n", b.executionLog(), executable)
	if err := os.WriteFile(filepath.Join(b.pluginDir(), plugins.ECR), []byte(script), 0o700); err != nil {
		return err
	}
	// The plugin repeats calls by itself, unless it is told not to.
	env := []kubeletconfig.ExecEnvVar{{Name: "AWS_MAX_ATTEMPTS", Value: "1"}}
	for _, variable := range b.AWS.Env() {
		name, value, _ := strings.Cut(variable, "=")
		env = append(env, kubeletconfig.ExecEnvVar{Name: name, Value: value})
	}
	config, err := json.Marshal(kubeletconfig.CredentialProviderConfig{
		TypeMeta: metav1.TypeMeta{APIVersion: "kubelet.config.k8s.io/v1", Kind: "CredentialProviderConfig"},
		Providers: []kubeletconfig.CredentialProvider{{
			Name: plugins.ECR, APIVersion: "credentialprovider.kubelet.k8s.io/v1", Env: env,
			MatchImages: []string{"*.dkr.ecr.*.amazonaws.com"}, DefaultCacheDuration: &metav1.Duration{Duration: time.Hour},
		}},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.scratch, "plugins.json"), config, 0o600)
}

// executions counts how often the plugin was executed.
func (b *bench) executions(time.Time) (int, error) {
	lines, err := os.ReadFile(b.executionLog())
	return bytes.Count(lines, []byte("\n")), err
}
