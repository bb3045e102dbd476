package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/test/cloud"
	"github.com/regcred/regcred/test/controlplane"
	"github.com/regcred/regcred/test/lab"
)

// fanned is what a fan-out of one provider's credential took, and what the next process did with it.
type fanned struct {
	provider
	mints  int
	phase  phase
	called cloud.Calls
	// pulled is why the image could not be pulled with one of the Secrets.
	pulled error

	mintsAtRestart, writesAtRestart int
}

// credential is the name of the provider's credential, and of its Secrets.
func (p provider) credential() string { return "every-" + strings.ToLower(p.name) }

// everyProvider fans out one credential for each provider, replaces the controller while all Secrets are fresh, and lets one provider hang
// beside another. Before that, it looks at the memory that Secrets of four entries take.
func (b *bench) everyProvider(ctx context.Context) error {
	if err := b.prepareClouds(ctx); err != nil {
		return err
	}
	b.flags = b.pluginFlags()
	used, err := b.fourEntries(ctx)
	if err != nil {
		return err
	}
	if _, err := b.startController(ctx); err != nil {
		return err
	}
	var all []fanned
	for _, p := range b.everyProviderOf() {
		f, err := b.fanOutOf(ctx, p)
		if err != nil {
			return err
		}
		all = append(all, f)
	}
	if err := b.restartAll(ctx, all); err != nil {
		return err
	}
	b.reportProviders(all)
	if err := b.reportFourEntries(used, len(all)); err != nil {
		return err
	}
	return b.hungProvider(ctx)
}

func (b *bench) fanOutOf(ctx context.Context, p provider) (f fanned, err error) {
	progress("%s: fan-out", p.name)
	f.provider = p
	watch, err := b.watchNamed(ctx, secretsMetadata(), p.credential())
	if err != nil {
		return f, err
	}
	defer watch.stop()
	if err := b.resetCloudCalls(); err != nil {
		return f, err
	}
	start := time.Now()
	f.phase, err = b.burst(ctx, watch, anything, func() error {
		return b.Client.Create(ctx, credentialOf(p.credential(), p.entry))
	})
	if err != nil {
		return f, fmt.Errorf("fan-out of %s: %w", p.name, err)
	}
	f.called = b.cloudCalls()
	if f.mints, err = p.mints(start); err != nil {
		return f, err
	}
	secret := &corev1.Secret{}
	if err := b.Client.Get(ctx, client.ObjectKey{Namespace: namespaceName(b.namespaces / 2), Name: p.credential()}, secret); err != nil {
		return f, err
	}
	_, f.pulled = cloud.Pull(ctx, b.Internet.Transport(), secret.Data[corev1.DockerConfigJsonKey], p.image)
	return f, nil
}

func credentialOf(name string, registries ...v1alpha1.Registry) *v1alpha1.ClusterRegistryCredential {
	c := clusterCredential(name, "fan-out", nil)
	c.Spec.Registries = registries
	return c
}

// restartAll replaces the controller, and counts what the new process asks of the clouds and writes into Secrets.
func (b *bench) restartAll(ctx context.Context, all []fanned) error {
	progress("every provider: restart, watched for %s", afterRestart)
	if err := b.controller.Stop(); err != nil {
		return err
	}
	if err := b.resetCloudCalls(); err != nil {
		return err
	}
	start := time.Now()
	if _, err := b.startController(ctx); err != nil {
		return err
	}
	if err := observe(ctx, afterRestart); err != nil {
		return err
	}
	looked, err := b.targetsReconciled(ctx)
	if err != nil {
		return err
	}
	if want := len(all) * b.namespaces; looked < want {
		return fmt.Errorf("%s after a restart, %d of %d targets had been looked at: what the controller did till then proves nothing", afterRestart, looked, want)
	}
	writes, err := b.AuditRequests(start, func(r controlplane.AuditRequest) bool {
		return r.User == controllerUser && r.Resource == "secrets" && isWrite(r.Verb)
	})
	if err != nil {
		return err
	}
	for i := range all {
		f := &all[i]
		if f.mintsAtRestart, err = f.provider.mints(start); err != nil {
			return err
		}
		for _, r := range writes {
			if r.Name == f.credential() {
				f.writesAtRestart++
			}
		}
	}
	calls := called(b.cloudCalls())
	b.report.must(len(calls) == 0, "at the restart the controller called the clouds: %s", strings.Join(calls.lines(), ", "))
	b.report.must(len(writes) == 0, "at the restart the controller wrote %d Secrets", len(writes))
	return nil
}

// targetsReconciled is how often the controller has reconciled a target, whatever came of it, by its own metrics.
func (b *bench) targetsReconciled(ctx context.Context) (int, error) {
	metrics, err := b.controller.ReadMetrics(ctx)
	if err != nil {
		return 0, err
	}
	total := 0
	for line := range strings.Lines(metrics) {
		if !strings.HasPrefix(line, `controller_runtime_reconcile_total{controller="target"`) {
			continue
		}
		_, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, fmt.Errorf("reading the metrics: %w", err)
		}
		total += int(n)
	}
	return total, nil
}

func (b *bench) reportProviders(all []fanned) {
	s := b.report.section(fmt.Sprintf("Every provider: one ClusterRegistryCredential over %d namespaces for each; a restart with all %d Secrets fresh",
		b.namespaces, len(all)*b.namespaces))
	s.Table = &table{Columns: []string{"provider", "mints", "Secrets/s", "CPU per Secret", "pull", "mints at restart", "writes at restart", "called"}}
	for _, f := range all {
		pull := "ok"
		if f.pulled != nil {
			pull = "FAILED"
		}
		s.Table.Rows = append(s.Table.Rows, []string{
			f.name, strconv.Itoa(f.mints), fmt.Sprintf("%.0f", f.phase.rate(b.namespaces)),
			fmt.Sprintf("%.2f ms", milliseconds(f.phase.cpu)/float64(b.namespaces)), pull,
			strconv.Itoa(f.mintsAtRestart), strconv.Itoa(f.writesAtRestart), strings.Join(called(f.called).lines(), ", "),
		})
		what := "minted"
		if f.name == "static" {
			what = "read its source"
		}
		b.report.must(f.mints == 1, "%s %s %d times for %d namespaces, and not once", f.name, what, f.mints, b.namespaces)
		b.report.must(f.pulled == nil, "%s: %s could not be pulled with a Secret: %v", f.name, f.image, f.pulled)
		b.report.must(f.mintsAtRestart == 0, "%s %s %d times at a restart with fresh Secrets", f.name, what, f.mintsAtRestart)
		b.report.must(f.writesAtRestart == 0, "%s: %d Secrets were written at a restart, all of them fresh", f.name, f.writesAtRestart)
	}
}

// memoryOf is the controller's memory before and after a fan-out.
type memoryOf struct {
	idle, after lab.Usage
	phase       phase
}

// fourEntries fans out one credential of four clouds, looks at the memory, and leaves no controller and no Secrets.
func (b *bench) fourEntries(ctx context.Context) (m memoryOf, err error) {
	const name = "four-entries"
	progress("%s: fan-out", name)
	if _, err := b.startController(ctx); err != nil {
		return m, err
	}
	if m.idle, err = b.usageAfter(ctx); err != nil {
		return m, err
	}
	watch, err := b.watchNamed(ctx, secretsMetadata(), name)
	if err != nil {
		return m, err
	}
	defer watch.stop()
	var four []v1alpha1.Registry
	for _, p := range b.everyProviderOf() {
		switch p.name {
		case "ecr", "artifactRegistry", "acr", "static":
			four = append(four, p.entry)
		}
	}
	m.phase, err = b.burst(ctx, watch, anything, func() error { return b.Client.Create(ctx, credentialOf(name, four...)) })
	if err != nil {
		return m, fmt.Errorf("fan-out of %s: %w", name, err)
	}
	m.after = m.phase.after
	if err := b.clear(ctx, name); err != nil {
		return m, err
	}
	return m, b.controller.Stop()
}

func (b *bench) reportFourEntries(m memoryOf, credentials int) error {
	restarted, err := b.controller.Usage()
	if err != nil {
		return err
	}
	s := b.report.section(fmt.Sprintf("Memory with every provider linked, and %d targets of 4 entries each", b.namespaces))
	add := func(id, name string, used lab.Usage, note string) {
		s.add(figure{ID: id, Name: name, Value: mebibytes(used.RSS), Unit: " MiB", Digits: 1,
			Note: fmt.Sprintf("of it %.1f of the executable's own pages%s", mebibytes(used.FileRSS), note)})
	}
	add("four-rss-idle", "RSS before", m.idle, "")
	add("four-rss", "RSS after the fan-out", m.after, fmt.Sprintf("; %.0f Secrets/s", m.phase.rate(b.namespaces)))
	add("four-rss-restarted", "RSS after the restart", restarted, fmt.Sprintf("; %d targets of one entry", credentials*b.namespaces))
	return nil
}
