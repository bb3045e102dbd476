// Package access says what a credential needs in its clouds, with its own values. It asks them only when it is told to.
package access

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/regcred/regcred/api/v1alpha1"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/check"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/cluster"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
)

// Access is what one credential needs.
type Access struct {
	Kind      string  `json:"kind"`
	Namespace string  `json:"namespace,omitempty"`
	Name      string  `json:"name"`
	Entries   []Entry `json:"registries"`
}

// Entry is what one registry entry needs.
type Entry struct {
	Name     string `json:"name"`
	Provider string `json:"provider"`
	// Steps are what to do, in order.
	Steps []Step `json:"steps"`
	// Annotations are those that the steps give the ServiceAccount, or that the controller's own must have.
	Annotations map[string]string `json:"annotations,omitempty"`
	// Checks are what the clouds have answered, if they were asked.
	Checks check.Checks `json:"checks,omitempty"`
}

// Step is one thing to do.
type Step struct {
	// What says what it is for.
	What string `json:"what"`
	// Shell is a command, quoted for sh, and Terraform a block that does the same. Both are empty where only a person can do it.
	Shell     string `json:"shell,omitempty"`
	Terraform string `json:"terraform,omitempty"`
}

// Options are what a credential does not say.
type Options struct {
	// Issuer is the cluster's issuer of ServiceAccounts' tokens, and Home the controller's namespace, where the identities of the cluster kind are.
	Issuer, Home string
	// Namespace is that of a RegistryCredential that names none, as in many a file.
	Namespace string
	// Accounts are the ServiceAccounts that the cluster has told of.
	Accounts Accounts
	// Account is the account of AWS or the project of Google Cloud that is meant where a credential names none.
	Account string
	// Controller is the ServiceAccount that the controller will run as, if it gets its identity by what is printed here.
	Controller string
	// Check asks a cloud about an entry; nil if nobody shall be asked.
	Check func(*entry) check.Checks
}

// The placeholders for what is not known. They are shouted, so that nobody runs over them.
const (
	unknownIssuer   = "https://ISSUER-OF-THE-CLUSTER"
	unknownAccount  = "AWS-ACCOUNT"
	unknownProject  = "GOOGLE-PROJECT"
	unknownGroup    = "RESOURCE-GROUP"
	unknownClient   = "CLIENT-ID"
	unknownRegion   = "AWS-REGION"
	unknownIdentity = "IDENTITY"
	unknownAudience = "AUDIENCE"
	unknownTenant   = "TENANT-ID"
	unknownUser     = "IAM-USER"
	// unknownRole is what the controller's pods run as.
	unknownRole = "CONTROLLER-ROLE"

	unknownNamespace = "NAMESPACE"
)

// Of says what a credential needs.
func Of(c *cluster.Credential, o Options) Access {
	if o.Issuer == "" {
		o.Issuer = unknownIssuer
	}
	done := &made{accounts: map[string]bool{}, annotated: map[string]bool{}, roles: map[string]*principal{}}
	a := Access{Kind: c.Kind, Namespace: c.GetNamespace(), Name: c.GetName()}
	for i := range c.Spec.Registries {
		r := c.Spec.Registries[i].DeepCopy()
		provider, _ := r.Provider()
		e := &entry{Registry: r, options: o, kind: c.Kind, credential: c.GetName(), namespace: namespaceOf(c, o), made: done, out: Entry{Name: r.Name, Provider: provider}}
		e.learn()
		e.identity()
		e.grant()
		if o.Check != nil {
			e.out.Checks = o.Check(e)
		}
		a.Entries = append(a.Entries, e.out)
	}
	return a
}

// namespaceOf is where the credential's identities are.
func namespaceOf(c *cluster.Credential, o Options) string {
	if c.Kind == v1alpha1.KindClusterRegistryCredential {
		return o.Home
	}
	return orElse(orElse(c.GetNamespace(), o.Namespace), unknownNamespace)
}

// entry is an entry that is being thought about.
type entry struct {
	*v1alpha1.Registry
	options          Options
	kind, credential string
	// namespace is where its identity is.
	namespace string
	made      *made
	out       Entry
}

// made is what the steps of a credential's entries have made, so that none makes it again: ServiceAccounts, their annotations,
// and roles of AWS by the ServiceAccount or the ARN that stands for them.
type made struct {
	accounts, annotated map[string]bool
	roles               map[string]*principal
}

func (e *entry) step(what, shell, terraform string) {
	e.out.Steps = append(e.out.Steps, Step{what, shell, terraform})
}

// account is the ServiceAccount that is the identity; empty if it is none.
func (e *entry) account() string {
	switch {
	case e.Identity == nil:
		return e.options.Controller
	case e.Identity.ServiceAccountRef == nil:
		return ""
	}
	return e.Identity.ServiceAccountRef.Name
}

// subject is the ServiceAccount's name in its tokens.
func (e *entry) subject() string { return "system:serviceaccount:" + e.namespace + ":" + e.account() }

// identity is the object in the cluster that the entry names.
func (e *entry) identity() {
	_, there := e.options.Accounts[e.account()]
	switch {
	case e.Identity == nil && e.options.Controller != "":
		e.step("The identity is the controller's own: ServiceAccount "+e.options.Controller+", with the annotations of the values.", "", "")
	case e.Identity == nil:
		e.step("The identity is the controller's own: what follows is for the role, service account or managed identity that its pods run with.", "", "")
	case e.made.accounts[e.account()]:
		e.step("The identity is ServiceAccount "+e.account()+", as above.", "", "")
	case e.Identity.ServiceAccountRef != nil && there:
		e.made.accounts[e.account()] = true
		e.step("The identity is ServiceAccount "+e.account()+", which is there.", "", "")
	case e.Identity.ServiceAccountRef != nil:
		e.made.accounts[e.account()] = true
		e.step("The identity is a ServiceAccount. No pod runs as it.", sh("kubectl", "create", "serviceaccount", e.account(), "--namespace="+e.namespace), "")
	case e.Identity.SecretRef != nil:
		name := e.Identity.SecretRef.Name
		e.step("The identity is a Secret, with the keys that docs/providers names, and a label.",
			sh("kubectl", "label", "secret", name, "--namespace="+e.namespace, v1alpha1.LabelSecret+"="+v1alpha1.LabelSecretIdentity), "")
	}
}

// grant is what the identity may do, by provider.
func (e *entry) grant() {
	switch {
	case e.ECR != nil:
		e.ecr()
	case e.ECRPublic != nil:
		e.ecrPublic()
	case e.ArtifactRegistry != nil:
		e.google()
	case e.ACR != nil:
		e.azure()
	case e.Artifactory != nil:
		e.artifactory()
	case e.Plugin != nil:
		e.step("The plugin "+e.Plugin.Name+" decides what it needs: see its own documentation.", "", "")
	}
}

// annotate has the ServiceAccount say what the entry does not. The chart annotates the controller's own.
func (e *entry) annotate(needed bool, annotation, why string) {
	key := e.account() + " " + annotation
	if !needed || e.made.annotated[key] {
		return
	}
	if e.out.Annotations == nil {
		e.out.Annotations = map[string]string{}
	}
	name, value, _ := strings.Cut(annotation, "=")
	e.out.Annotations[name] = value
	if e.Identity == nil {
		return
	}
	e.made.annotated[key] = true
	e.step(why, sh("kubectl", "annotate", "serviceaccount", e.account(), "--namespace="+e.namespace, annotation), "")
}

// sh is a command with every argument quoted.
func sh(args ...string) string { return output.Command(args...) }

// document is an object in JSON.
func document(o any) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(o); err != nil {
		panic(err) // maps and texts always encode
	}
	return strings.TrimSpace(b.String())
}

func orElse(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
