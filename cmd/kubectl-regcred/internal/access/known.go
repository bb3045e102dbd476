package access

import (
	"context"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
)

// Accounts are the annotations of the ServiceAccounts that are there, by name. Those of the controller's own are under no name.
type Accounts map[string]map[string]string

// The annotations by which a ServiceAccount names who it is in a cloud, as the controller reads them.
const (
	annotationPullRole       = "eks.amazonaws.com/ecr-role-arn"
	annotationRole           = "eks.amazonaws.com/role-arn"
	annotationServiceAccount = "iam.gke.io/gcp-service-account"
	annotationClientID       = "azure.workload.identity/client-id"
	annotationTenantID       = "azure.workload.identity/tenant-id"
)

// AccountsOf reads the ServiceAccounts that are identities of a credential. Those that may not be read count as unknown.
func AccountsOf(ctx context.Context, k *cluster.Cluster, c *cluster.Credential, home string) (Accounts, error) {
	known := Accounts{}
	for i := range c.Spec.Registries {
		namespace, key, name := orElse(c.GetNamespace(), home), "", ""
		switch identity := c.Spec.Registries[i].Identity; {
		case identity == nil:
			namespace, name = home, controllerAccount(ctx, k, home)
		case identity.ServiceAccountRef != nil:
			name = identity.ServiceAccountRef.Name
			key = name
		}
		if _, read := known[key]; read || name == "" {
			continue
		}
		o := &corev1.ServiceAccount{}
		is, err := k.Read(ctx, namespace, name, o)
		if err != nil {
			return nil, err
		}
		if is == cluster.Present {
			known[key] = o.Annotations
		}
	}
	return known, nil
}

// controllerAccount is the ServiceAccount that the controller's pods run as; empty if that is not to be found out.
func controllerAccount(ctx context.Context, k *cluster.Cluster, home string) string {
	name := ""
	_, err := cluster.Each(ctx, k, &appsv1.DeploymentList{}, home, func(o *appsv1.Deployment) error {
		name = o.Spec.Template.Spec.ServiceAccountName
		return nil
	}, client.MatchingLabels{"app.kubernetes.io/name": "regcred"})
	if err != nil {
		return ""
	}
	return name
}

// told is what the annotations of the identity's ServiceAccount say: the first of the keys that is there.
func (e *entry) told(keys ...string) string {
	if e.Identity != nil && e.Identity.ServiceAccountRef == nil {
		return ""
	}
	name := ""
	if e.Identity != nil {
		name = e.Identity.ServiceAccountRef.Name
	}
	for _, key := range keys {
		if value := e.options.Accounts[name][key]; value != "" {
			return value
		}
	}
	return ""
}

// learn completes the entry by what the ServiceAccount says, as the controller does.
func (e *entry) learn() {
	if a := e.ACR; a != nil && a.ManagedIdentity == "" {
		a.ClientID = orElse(a.ClientID, e.told(annotationClientID))
		a.TenantID = orElse(a.TenantID, e.told(annotationTenantID))
	}
	if a := e.ArtifactRegistry; a != nil && e.Identity != nil {
		a.ServiceAccount = orElse(a.ServiceAccount, e.told(annotationServiceAccount))
	}
}

// toldRole is the role of AWS that the identity has.
func (e *entry) toldRole() string { return e.told(annotationPullRole, annotationRole) }

// accountIn is the account of a role's ARN.
func accountIn(arn string) string {
	if parts := strings.Split(arn, ":"); len(parts) == 6 {
		return parts[4]
	}
	return unknownAccount
}
