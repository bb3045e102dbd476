package initialize

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/validation"

	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/migrate"
	"github.com/regcred/regcred/cmd/kubectl-regcred/internal/output"
	"github.com/regcred/regcred/controllers/diagnosis"
	"github.com/regcred/regcred/internal/partition"
)

// Answers are what somebody has been asked.
type Answers struct {
	// Image is one that pods pull; empty if none was named.
	Image string
	// Cloud is one of clouds, Account its account of the identity, and Registry the host that the credential is for.
	Cloud, Account, Registry string
	// Name is the credential's, and so the Secret's.
	Name string
	// Namespaces are the names of those that get it, unless All do.
	Namespaces []string
	All        bool
	// Accounts are the ServiceAccounts that get it.
	Accounts []string
	// Identity is who asks the cloud: Controller or ServiceAccount.
	Identity string

	image diagnosis.Image
}

// Who asks the cloud.
const (
	Controller     = "controller"
	ServiceAccount = "serviceaccount"
)

// The clouds, and none.
const (
	aws    = "aws"
	google = "google"
	azure  = "azure"
	none   = "none"
)

var clouds = []string{aws, google, azure, none}

// question is one that is asked on a terminal, and that a flag answers elsewhere.
type question struct {
	flag, text string
	answer     *string
	// otherwise is the answer that follows from the others; empty if none does.
	otherwise func() string
	// fault is what is wrong with an answer; empty if nothing is.
	fault func(string) string
}

// complete asks for what no flag has said, and takes elsewhere what the image says; without lines nobody can be asked. Each answer is of a form that does
// no harm.
func (a *Answers) complete(lines *bufio.Scanner, w io.Writer) error {
	if a.Image != "" {
		image, ok := diagnosis.ParseImage(a.Image)
		if !ok {
			return fmt.Errorf("%q is no image: name one that your pods pull, such as 123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app", a.Image)
		}
		a.image = image
	}
	if err := a.check(); err != nil {
		return err
	}
	for _, q := range []question{
		{"cloud", "The cloud of the registry (" + strings.Join(clouds, ", ") + ")", &a.Cloud, a.cloud, a.cloudFault},
		{"account", "The AWS account, Google Cloud project or Azure tenant of the identity", &a.Account, a.account, a.accountFault},
		{"registry", "The registry, such as 123456789012.dkr.ecr.eu-west-1.amazonaws.com", &a.Registry, a.registry, a.registryFault},
	} {
		if q.flag == "account" && a.Cloud == none {
			continue
		}
		if err := q.settle(lines, w); err != nil {
			return err
		}
	}
	return a.askNamespaces(lines, w)
}

// settle finds the answer.
func (q question) settle(lines *bufio.Scanner, w io.Writer) error {
	otherwise := q.otherwise()
	if *q.answer == "" && lines != nil {
		answer, err := ask(lines, w, q.text, otherwise)
		if err != nil {
			return err
		}
		*q.answer = answer
	}
	if *q.answer == "" {
		*q.answer = otherwise
	}
	if *q.answer == "" {
		return fmt.Errorf("--%s is missing: %s", q.flag, q.text)
	}
	if fault := q.fault(*q.answer); fault != "" {
		return fmt.Errorf("--%s: %q %s", q.flag, *q.answer, fault)
	}
	return nil
}

func ask(lines *bufio.Scanner, w io.Writer, text, otherwise string) (string, error) {
	if otherwise != "" {
		text += " [" + output.Clean(otherwise) + "]"
	}
	fmt.Fprint(w, text+": ")
	if !lines.Scan() {
		return "", errors.New("there was no answer")
	}
	return strings.TrimSpace(lines.Text()), nil
}

func (a *Answers) askNamespaces(lines *bufio.Scanner, w io.Writer) error {
	if len(a.Namespaces) > 0 && a.All {
		return errors.New("--namespaces and -A do not go together")
	}
	if len(a.Namespaces) > 0 || a.All {
		return nil
	}
	if lines == nil {
		return errors.New("--namespaces is missing: the namespaces that get the Secret, or -A for all")
	}
	answer, err := ask(lines, w, "The namespaces that get the Secret, separated by commas", "all")
	if err != nil {
		return err
	}
	if answer == "all" {
		answer = ""
	}
	a.Namespaces = strings.FieldsFunc(answer, func(r rune) bool { return r == ',' || r == ' ' })
	a.All = len(a.Namespaces) == 0
	return a.check()
}

// host is the registry as far as it is known.
func (a *Answers) host() string {
	if a.Registry != "" {
		return a.Registry
	}
	return a.image.Host
}

// registry follows from the image.
func (a *Answers) registry() string { return a.image.Host }

// cloud follows from the registry.
func (a *Answers) cloud() string {
	if a.host() == "" {
		return ""
	}
	return cloudOf(a.host())
}

func cloudOf(host string) string {
	entry, ok := migrate.EntryFor(host)
	switch {
	case !ok:
		return none
	case entry.ArtifactRegistry != nil:
		return google
	case entry.ACR != nil:
		return azure
	default:
		return aws
	}
}

// account follows from the registry in AWS, and from the image in Google Cloud.
func (a *Answers) account() string {
	if r, ok := partition.OfECRHost(a.host()); ok {
		return r.Account
	}
	project, _ := repositoryIn(a.image)
	return project
}

func (a *Answers) cloudFault(cloud string) string {
	if !slices.Contains(clouds, cloud) {
		return "is none of " + strings.Join(clouds, ", ")
	}
	return ""
}

// accountForms are the forms of accounts.
var accountForms = map[string]struct {
	form *regexp.Regexp
	what string
}{
	aws:    {regexp.MustCompile(`^[0-9]{12}$`), "is no AWS account: 12 digits"},
	google: {regexp.MustCompile(`^([a-z0-9][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$`), "is no Google Cloud project, such as my-project"},
	azure:  {regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`), "is no Azure tenant: a UUID in lower case"},
}

func (a *Answers) accountFault(account string) string {
	if of := accountForms[a.Cloud]; !of.form.MatchString(account) {
		return of.what
	}
	return ""
}

func (a *Answers) registryFault(host string) string {
	image, ok := diagnosis.ParseImage(host + "/x")
	switch {
	case !ok || strings.Contains(host, "/") || image.Repository != "x" && image.Repository != "library/x":
		return "is no host of a registry"
	case cloudOf(host) != a.Cloud && a.Cloud != none:
		return "is no registry of " + a.Cloud
	}
	return ""
}

// check refuses names that no object has: the files would be refused one by one later on.
func (a *Answers) check() error {
	if a.Identity != Controller && a.Identity != ServiceAccount {
		return fmt.Errorf("--identity: %q is none of %s, %s", a.Identity, Controller, ServiceAccount)
	}
	names := []struct {
		flag   string
		of     []string
		faults func(string, bool) []string
	}{
		{"--name", []string{a.Name}, validation.NameIsDNSSubdomain},
		{"--namespaces", a.Namespaces, validation.ValidateNamespaceName},
		{"--serviceaccounts", a.Accounts, validation.ValidateServiceAccountName},
	}
	for _, n := range names {
		for _, name := range n.of {
			if faults := n.faults(name, false); len(faults) > 0 {
				return fmt.Errorf("%s: %q is no name of Kubernetes: %s", n.flag, name, faults[0])
			}
		}
	}
	return nil
}
