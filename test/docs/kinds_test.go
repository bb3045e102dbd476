package docs

import (
	"context"
	"path/filepath"

	"github.com/regcred/regcred/test/module"
)

// kinds are those of others that pages use, as their own modules define them.
var kinds = []struct{ module, files string }{
	{"github.com/prometheus-operator/prometheus-operator@v0.85.0", "example/prometheus-operator-crd/*_{servicemonitors,podmonitors,prometheusrules}.yaml"},
	{"github.com/fluxcd/source-controller@v1.9.0", "config/crd/bases/*_ocirepositories.yaml"},
	{"github.com/fluxcd/helm-controller@v1.4.3", "config/crd/bases/*.yaml"},
	{"github.com/argoproj/argo-cd/v3@v3.4.0", "manifests/crds/application-crd.yaml"},
	{"github.com/kyverno/kyverno@v1.19.1", "config/crds/kyverno/kyverno.io_clusterpolicies.yaml"},
	{"github.com/crossplane/crossplane/v2@v2.0.2", "cluster/crds/pkg.crossplane.io_imageconfigs.yaml"},
	{"github.com/vmware-tanzu/velero@v1.18.3", "config/crd/v1/bases/velero.io_schedules.yaml"},
}

// addKinds installs them: the API server then refuses a field that they do not have.
func (w *world) addKinds(ctx context.Context) error {
	for _, k := range kinds {
		dir, err := module.Download(ctx, k.module)
		if err != nil {
			return err
		}
		if _, err := w.shell(ctx, "for f in "+filepath.Join(dir, k.files)+"; do kubectl create -f \"$f\"; done", ""); err != nil {
			return err
		}
	}
	_, err := w.shell(ctx, "kubectl wait --for=condition=Established crd --all >/dev/null", "")
	return err
}
