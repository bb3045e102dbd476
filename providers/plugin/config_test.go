package plugin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"
)

const goodHead = `apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
`

const goodConfig = goodHead + `providers:
- name: good
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  matchImages: ["*.dkr.ecr.*.amazonaws.com", "registry.example.com:5000/team"]
  defaultCacheDuration: 12h
  args: [get]
  env:
  - {name: KEY, value: canary-regcred-x}
  tokenAttributes:
    serviceAccountTokenAudience: sts.amazonaws.com
    cacheType: ServiceAccount
    requireServiceAccount: true
    requiredServiceAccountAnnotationKeys: [eks.amazonaws.com/ecr-role-arn]
    optionalServiceAccountAnnotationKeys: [eks.amazonaws.com/audience]
`

// files writes files into a directory of the test's own, and an executable for each of the plugins.
func files(t *testing.T, content map[string]string, plugins ...string) (configDir, binDir string) {
	t.Helper()
	configDir, binDir = t.TempDir(), t.TempDir()
	for name, text := range content {
		if err := os.WriteFile(filepath.Join(configDir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range plugins {
		if err := os.Symlink(self, filepath.Join(binDir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return configDir, binDir
}

func TestConfigurationIsAFileOrADirectory(t *testing.T) {
	other := strings.ReplaceAll(goodConfig, "name: good", "name: other")
	asJSON := `{"apiVersion":"kubelet.config.k8s.io/v1","kind":"CredentialProviderConfig","providers":[{"name":"third",` +
		`"apiVersion":"credentialprovider.kubelet.k8s.io/v1","matchImages":["registry.io"],"defaultCacheDuration":"0s"}]}`
	dir, bin := files(t, map[string]string{"b.yaml": goodConfig, "a.yml": other, "c.json": asJSON, "README.md": "not a configuration"},
		"good", "other", "third")
	for path, want := range map[string][]string{dir: {"other", "good", "third"}, filepath.Join(dir, "b.yaml"): {"good"}} {
		configs, err := readConfig(path)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range configs {
			got = append(got, c.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		if _, err := New(path, bin, clocktesting.NewFakePassiveClock(clockStart)); err != nil {
			t.Error(err)
		}
	}
}

func TestABadConfigurationIsRefusedByNames(t *testing.T) {
	for name, c := range map[string]struct {
		old, text string // what is replaced in the good one
		says      []string
	}{
		"unknown field":         {"  args: [get]", "  arguments: [get]", []string{"providers[good].arguments", "unknown field"}},
		"unknown nested field":  {"cacheType: ServiceAccount", "cacheKind: Token", []string{"providers[good].tokenAttributes.cacheKind"}},
		"field twice":           {"  args: [get]", "  args: [get]\n  args: [put]", []string{"args"}},
		"older version":         {"kubelet.config.k8s.io/v1\n", "kubelet.config.k8s.io/v1beta1\n", []string{"must be of apiVersion kubelet.config.k8s.io/v1 and kind CredentialProviderConfig"}},
		"other kind":            {"kind: CredentialProviderConfig", "kind: KubeletConfiguration", []string{"kind CredentialProviderConfig"}},
		"no kind":               {"kind: CredentialProviderConfig\n", "", []string{"kind CredentialProviderConfig"}},
		"no YAML":               {"providers:", "providers: [", []string{"yaml"}},
		"value of another type": {"value: canary-regcred-x", "value: 20391", []string{"providers.env.value", "must be a string"}},
		"no providers":          {goodConfig[len(goodHead):], "providers: []", []string{"providers", "at least one plugin"}},
		"no name":               {"name: good", "name: ''", []string{"providers[0].name"}},
		"name with a path":      {"name: good", "name: ../good", []string{"providers[../good].name", "file name"}},
		"hidden name":           {"name: good", "name: .good", []string{"providers[.good].name"}},
		"older protocol":        {"credentialprovider.kubelet.k8s.io/v1\n", "credentialprovider.kubelet.k8s.io/v1beta1\n", []string{"providers[good].apiVersion", `supported values: "credentialprovider.kubelet.k8s.io/v1"`}},
		"no image":              {`["*.dkr.ecr.*.amazonaws.com", "registry.example.com:5000/team"]`, "[]", []string{"providers[good].matchImages", "at least one"}},
		"image with a scheme":   {"registry.example.com:5000/team", "https://registry.example.com", []string{"providers[good].matchImages[1]", "no scheme"}},
		"image with a bad glob": {"registry.example.com:5000/team", "a[b.example.com", []string{"providers[good].matchImages[1]"}},
		"no duration":           {"  defaultCacheDuration: 12h\n", "", []string{"providers[good].defaultCacheDuration", "Required"}},
		"negative duration":     {"12h", "-12h", []string{"providers[good].defaultCacheDuration", "negative"}},
		"duration without unit": {"12h", "'12'", []string{"duration"}},
		"variable without name": {"name: KEY", "name: ''", []string{"providers[good].env[0].name"}},
		"variable with =":       {"name: KEY", "name: A=B", []string{"providers[good].env[0].name"}},
		"variable twice":        {"  - {name: KEY", "  - {name: KEY, value: z}\n  - {name: KEY", []string{"providers[good].env[1].name", "Duplicate"}},
		"no audience":           {"sts.amazonaws.com", "''", []string{"providers[good].tokenAttributes.serviceAccountTokenAudience"}},
		"unknown cache type":    {"cacheType: ServiceAccount", "cacheType: Pod", []string{"providers[good].tokenAttributes.cacheType", `"ServiceAccount", "Token"`}},
		"nothing required":      {"    requireServiceAccount: true\n", "", []string{"providers[good].tokenAttributes.requireServiceAccount"}},
		"annotations of none":   {"requireServiceAccount: true", "requireServiceAccount: false", []string{"providers[good].tokenAttributes.requiredServiceAccountAnnotationKeys"}},
		"no annotation":         {"[eks.amazonaws.com/audience]", "['a b']", []string{"providers[good].tokenAttributes.optionalServiceAccountAnnotationKeys[0]"}},
		"annotation twice":      {"[eks.amazonaws.com/audience]", "[eks.amazonaws.com/ecr-role-arn]", []string{"optionalServiceAccountAnnotationKeys[0]", "Duplicate"}},
	} {
		if !strings.Contains(goodConfig, c.old) {
			t.Fatalf("%s: nothing to replace", name)
		}
		dir, _ := files(t, map[string]string{"plugins.yaml": strings.Replace(goodConfig, c.old, c.text, 1)})
		_, err := readConfig(dir)
		if err == nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		for _, words := range append(c.says, filepath.Join(dir, "plugins.yaml")) {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("%s: %q does not say %q", name, err, words)
			}
		}
		for _, secret := range []string{"canary-regcred-x", "20391"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error shows the value of a variable", name)
			}
		}
	}
}

func TestWhatIsMissingAtTheStartIsNamed(t *testing.T) {
	dir, bin := files(t, map[string]string{"plugins.yaml": goodConfig}, "good")
	twice, _ := files(t, map[string]string{"a.yaml": goodConfig, "b.yaml": goodConfig})
	empty, noBin := files(t, nil)
	_, notExecutable := files(t, nil)
	if err := os.WriteFile(filepath.Join(notExecutable, "good"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		config, bin string
		says        []string
	}{
		"no configuration":          {filepath.Join(dir, "none.yaml"), bin, []string{"--image-credential-provider-config", "none.yaml", "no such file"}},
		"no file in the directory":  {empty, bin, []string{"--image-credential-provider-config", empty, ".yaml"}},
		"a name in two files":       {twice, bin, []string{"b.yaml", "providers[good]", "another file"}},
		"no plugin":                 {dir, noBin, []string{"--image-credential-provider-bin-dir", "plugin good", "no such file"}},
		"a plugin that is no such":  {dir, notExecutable, []string{"plugin good", "not an executable file"}},
		"a directory and no config": {"", bin, []string{"set both or neither"}},
		"a config and no directory": {dir, "", []string{"set both or neither"}},
	} {
		_, err := New(c.config, c.bin, clocktesting.NewFakePassiveClock(clockStart))
		if err == nil {
			t.Errorf("%s is accepted", name)
			continue
		}
		for _, words := range c.says {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("%s: %q does not say %q", name, err, words)
			}
		}
	}
}

func TestTheDocumentedConfigurationsAreGood(t *testing.T) {
	raw, err := os.ReadFile("../../docs/providers/plugin.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for i, block := range strings.Split(string(raw), "```") {
		info, config, _ := strings.Cut(block, "\n")
		if i%2 == 0 || !strings.HasPrefix(info, "yaml") || !strings.Contains(config, "kind: CredentialProviderConfig") {
			continue
		}
		found++
		dir, _ := files(t, map[string]string{"plugins.yaml": config})
		if _, err := readConfig(dir); err != nil {
			t.Error(err)
		}
	}
	if found < 4 {
		t.Errorf("found %d configurations only", found)
	}
}
