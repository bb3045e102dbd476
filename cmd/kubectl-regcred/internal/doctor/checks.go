package doctor

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/check"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
)

// ours is the label on everything that Regcred is installed from.
var ours = client.MatchingLabels{"app.kubernetes.io/name": "regcred"}

// doctor looks at one cluster.
type doctor struct {
	k       *cluster.Cluster
	version string
	now     time.Time
	report  *Report

	// server is the API server's time; the zero value if it could not be asked for.
	server time.Time
	home   string
	// defined is the version of the CustomResourceDefinitions; empty if they do not say one.
	defined string
	// leases are those of controllers.
	leases []*coordinationv1.Lease
}

// looks are what is looked at, in this order.
var looks = []func(*doctor, context.Context) error{
	(*doctor).clock, (*doctor).definitions, (*doctor).readLeases, (*doctor).controller, (*doctor).lease, (*doctor).rules, (*doctor).policies, (*doctor).linkPolicies,
	(*doctor).identity, (*doctor).credentials,
}

// clock asks the API server for its time, and for its version on the way.
func (d *doctor) clock(ctx context.Context) error {
	httpClient, err := rest.HTTPClientFor(d.k.Config)
	if err != nil {
		return err
	}
	base, _, err := rest.DefaultServerUrlFor(d.k.Config)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath("version").String(), http.NoBody)
	if err != nil {
		return err
	}
	res, err := httpClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking the API server: %w", err)
	}
	if err := res.Body.Close(); err != nil {
		return err
	}
	d.add("plugin", check.Note, "%s", d.version)
	d.server, err = http.ParseTime(res.Header.Get("Date"))
	if err != nil {
		d.add("clock", check.Unknown, "the API server does not say what time it is")
	}
	return nil
}

// definitions are the CustomResourceDefinitions.
func (d *doctor) definitions(ctx context.Context) error {
	for _, name := range []string{"registrycredentials.regcred.dev", "clusterregistrycredentials.regcred.dev"} {
		crd := &unstructured.Unstructured{}
		crd.SetGroupVersionKind(cluster.DefinitionKind)
		there, err := d.k.Read(ctx, "", name, crd)
		switch {
		case err != nil:
			return err
		case there == cluster.Unreadable:
			d.unread("CRD "+name, "customresourcedefinitions", "get")
		case there == cluster.Absent:
			d.add("CRD "+name, check.Bad, "it is not installed: helm install regcred-crds, or kubectl apply -f config/crd")
		case !knowsSuspend(crd):
			d.add("CRD "+name, check.Bad, "it is older than this plugin and does not know spec.suspend: helm upgrade does not upgrade CRDs, so apply those of the new version")
		default:
			version := crd.GetAnnotations()[definedBy]
			d.add("CRD "+name, check.Good, "installed, of %s", cmp.Or(version, "a version that it does not say"))
			if d.defined == "" || older(version, d.defined) {
				d.defined = version
			}
		}
	}
	return nil
}

// definedBy is the annotation of a CustomResourceDefinition that says of which version it is.
const definedBy = "regcred.dev/version"

// knowsSuspend says whether the schema is of this version or a later one.
func knowsSuspend(crd *unstructured.Unstructured) bool {
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	for _, v := range versions {
		version, _ := v.(map[string]any)
		_, known, _ := unstructured.NestedMap(version, "schema", "openAPIV3Schema", "properties", "spec", "properties", "suspend")
		if known {
			return true
		}
	}
	return false
}
