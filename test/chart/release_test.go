package chart

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/regcred/regcred/api/v1alpha1"
)

// TestTheNotesCanBeFollowed runs what NOTES.txt tells to run.
func TestTheNotesCanBeFollowed(t *testing.T) {
	installCRDs(t)
	namespace(t, "notes-team", nil)
	const credential = "credentials[0].name=notes-kept,credentials[0].spec.namespaceSelector.matchLabels.notes=notes," +
		"credentials[0].spec.registries[0].name=prod,credentials[0].spec.registries[0].ecr.region=eu-west-1"
	for _, c := range []struct{ namespace, set string }{
		{"notes", "allowAmbientIdentity=true"},
		{"notes-watched", "watchNamespaces={notes-team},metrics.secure=false,uninstall.unlink=false"},
		{"notes-kept", "rbac.create=false," + credential},
	} {
		notes := mustHelm(t, "install", "regcred", "charts/regcred", "--namespace", c.namespace, "--create-namespace", "--skip-crds", "--set", c.set)
		uninstallAfter(t, "regcred", c.namespace)
		_, notes, ok := strings.Cut(notes, "NOTES:\n")
		if !ok {
			t.Fatalf("there are no notes: %s", notes)
		}
		follow(t, notes, c.namespace)
	}
	c := &v1alpha1.ClusterRegistryCredential{}
	c.Name = "registry-pull"
	must(t, client.IgnoreNotFound(world.Client.Delete(t.Context(), c)))
}

// follow runs the indented lines as one script, with a name for <name>. What a kubelet is needed for is TestHelmTestSaysWhetherAControllerWorks'.
func follow(t *testing.T, notes, name string) {
	t.Helper()
	var script strings.Builder
	for line := range strings.Lines(notes) {
		command, indented := strings.CutPrefix(line, "  ")
		if indented && !strings.HasPrefix(command, "helm test") {
			script.WriteString(strings.NewReplacer("<namespace>", "notes-team", "<name>", name).Replace(command))
		}
	}
	if strings.Count(script.String(), "kubectl") < 2 {
		t.Errorf("the notes tell little:\n%s", notes)
	}
	run := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script.String())
	run.Env = append(os.Environ(), "KUBECONFIG="+world.Kubeconfig(), "PATH="+os.Getenv("KUBEBUILDER_ASSETS")+":"+os.Getenv("PATH"))
	if out, err := run.CombinedOutput(); err != nil {
		t.Errorf("%v: %s\nof:\n%s", err, out, script.String())
	}
}

func TestHelmTestSaysWhetherAControllerWorks(t *testing.T) {
	install(t, "regcred-system")
	start(t, "regcred-system")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ran := make(chan error, 1)
	go func() {
		ran <- world.RunPod(ctx, "regcred-system", map[string]string{"app.kubernetes.io/component": "test"}, logOf(t))
	}()
	mustHelm(t, "test", "regcred", "--namespace", "regcred-system", "--timeout", patience.String())
	must(t, <-ran)
}

func TestCredentialsOutliveTheirRelease(t *testing.T) {
	file := values(t, strings.Replace(credentials("kept", "kept"), `"credentialsKeep":false,`, "", 1))
	install(t, "regcred-system", "--values", file)
	mustHelm(t, "uninstall", "regcred", "--namespace", "regcred-system", "--no-hooks")
	c := &v1alpha1.ClusterRegistryCredential{}
	must(t, world.Client.Get(t.Context(), client.ObjectKey{Name: "kept"}, c))
	install(t, "regcred-system", "--values", file, "--set", "credentialsKeep=false") // the release takes it up again
	mustHelm(t, "uninstall", "regcred", "--namespace", "regcred-system", "--no-hooks")
	eventually(t, "the end of what the release need not keep", func() (bool, error) {
		err := world.Client.Get(t.Context(), client.ObjectKey{Name: "kept"}, c)
		return apierrors.IsNotFound(err), client.IgnoreNotFound(err)
	})
}

// TestACertificateIsMadeOnce: scrapers must be able to verify it after an upgrade, too.
func TestACertificateIsMadeOnce(t *testing.T) {
	installForeign(t)
	install(t, "regcred-system", "--set", "metrics.serviceMonitor.enabled=true")
	made := secret(t, "regcred-system", "regcred-metrics-certificate")
	pool := x509.NewCertPool()
	block, _ := pem.Decode(made.Data[corev1.TLSCertKey])
	if block == nil || !pool.AppendCertsFromPEM(made.Data["ca.crt"]) {
		t.Fatalf("the Secret holds no certificate: %v", len(made.Data))
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	must(t, err)
	if _, err := certificate.Verify(x509.VerifyOptions{DNSName: "regcred-metrics.regcred-system.svc", Roots: pool, CurrentTime: time.Now().Add(24 * time.Hour)}); err != nil {
		t.Error(err)
	}
	mustHelm(t, "upgrade", "regcred", "charts/regcred", "--namespace", "regcred-system", "--set", "metrics.serviceMonitor.enabled=true,replicas=1")
	if again := secret(t, "regcred-system", "regcred-metrics-certificate"); !bytes.Equal(again.Data[corev1.TLSCertKey], made.Data[corev1.TLSCertKey]) {
		t.Error("an upgrade makes another certificate")
	}
}

// TestTokensGoToVerifiedServersOnly: who sends a token of Prometheus' names whom it trusts.
func TestTokensGoToVerifiedServersOnly(t *testing.T) {
	scrapers := 0
	for _, file := range permutations(t) {
		rendered := render(t, "--values", file)
		if strings.Contains(rendered, "insecureSkipVerify") {
			t.Errorf("%s: a scraper is told not to verify", filepath.Base(file))
		}
		sent, verified := strings.Count(rendered, "bearerTokenFile:")+strings.Count(rendered, "authorization:"), strings.Count(rendered, "key: ca.crt")
		if sent != verified {
			t.Errorf("%s: %d scrapers send a token, %d verify", filepath.Base(file), sent, verified)
		}
		scrapers += sent
	}
	if scrapers == 0 {
		t.Error("no scraper sends a token")
	}
}

// TestTheExamplesOfArtifactHubAreAdmitted: what it shows of the kinds is in annotations of the chart.
func TestTheExamplesOfArtifactHubAreAdmitted(t *testing.T) {
	installCRDs(t)
	raw, err := os.ReadFile(filepath.Join(world.Root, "charts", "regcred", "Chart.yaml"))
	must(t, err)
	var chart struct{ Annotations map[string]string }
	must(t, yaml.Unmarshal(raw, &chart))
	var examples []map[string]any
	must(t, yaml.Unmarshal([]byte(chart.Annotations["artifacthub.io/crdsExamples"]), &examples))
	if len(examples) != 2 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, example := range examples {
		text, err := yaml.Marshal(example)
		must(t, err)
		kubectl(t, string(text), "create", "--dry-run=server", "--validate=strict")
	}
}

// TestAChartStandsByItself: outside of the repository, where ArtifactHub shows it, a relative link leads nowhere.
func TestAChartStandsByItself(t *testing.T) {
	for _, chart := range charts {
		raw, err := os.ReadFile(filepath.Join(world.Root, chart, "README.md"))
		must(t, err)
		if _, rest, found := strings.Cut(string(raw), "](../"); found {
			t.Errorf("%s/README.md has a relative link: %.60s", chart, rest)
		}
	}
}
