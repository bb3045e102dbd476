package access

import (
	"fmt"
	"strings"
)

// locations are those of the hosts of gcr.io, which are repositories of the same name.
var locations = map[string]string{"gcr.io": "us", "us.gcr.io": "us", "eu.gcr.io": "europe", "asia.gcr.io": "asia"}

func (e *entry) google() {
	a := e.ArtifactRegistry
	project := orElse(a.Project, orElse(e.options.Account, unknownProject))
	member := e.reader()
	if a.ServiceAccount != "" {
		own, role := e.googleMember(), "roles/iam.workloadIdentityUser"
		if own == "" {
			own, role = "serviceAccount:"+e.unknownGoogle(), "roles/iam.serviceAccountTokenCreator"
		}
		e.step("The identity acts as the service account.", sh("gcloud", "iam", "service-accounts", "add-iam-policy-binding", a.ServiceAccount,
			"--role="+role, "--member="+own),
			block("resource", "google_service_account_iam_member", e.id(), attribute{"service_account_id", "projects/-/serviceAccounts/" + a.ServiceAccount, false},
				attribute{"role", role, false}, attribute{"member", own, false}))
	}
	for _, r := range e.repositories() {
		e.step(fmt.Sprintf("It may read repository %s.", r.name),
			sh("gcloud", "artifacts", "repositories", "add-iam-policy-binding", r.name, "--project="+project, "--location="+r.location,
				"--role=roles/artifactregistry.reader", "--member="+member),
			block("resource", "google_artifact_registry_repository_iam_member", e.id()+"-"+r.host+"-"+r.name, attribute{"project", project, false},
				attribute{"location", r.location, false}, attribute{"repository", r.name, false},
				attribute{"role", "roles/artifactregistry.reader", false}, attribute{"member", member, false}))
	}
}

// googleRepository is a repository behind a host.
type googleRepository struct{ host, location, name string }

func (e *entry) repositories() []googleRepository {
	var all []googleRepository
	for _, host := range e.ArtifactRegistry.Hosts {
		location, names := locations[host], e.ArtifactRegistry.Repositories
		if location != "" {
			names = []string{host}
		} else {
			location = strings.TrimSuffix(host, "-docker.pkg.dev")
		}
		if len(names) == 0 {
			names = []string{"REPOSITORY"}
		}
		for _, name := range names {
			all = append(all, googleRepository{host, location, name})
		}
	}
	return all
}

// reader is the member that reads the repositories.
func (e *entry) reader() string {
	switch {
	case e.ArtifactRegistry.ServiceAccount != "":
		return "serviceAccount:" + e.ArtifactRegistry.ServiceAccount
	case e.account() != "":
		return e.googleMember()
	default:
		return "serviceAccount:" + e.unknownGoogle()
	}
}

// unknownGoogle stands for the service account that the controller, or who keeps the Secret, is in Google Cloud.
func (e *entry) unknownGoogle() string {
	if e.Identity == nil {
		return orElse(e.told(annotationServiceAccount), "CONTROLLER-SERVICE-ACCOUNT")
	}
	return unknownIdentity
}

// googleMember is the name in IAM of the ServiceAccount; empty if the identity is none.
func (e *entry) googleMember() string {
	a := e.ArtifactRegistry
	if e.account() == "" {
		return ""
	}
	if pool, _, ok := strings.Cut(a.WorkloadIdentityProvider, "/providers/"); ok {
		return "principal://iam.googleapis.com/" + pool + "/subject/" + e.subject()
	}
	project := orElse(e.options.Account, unknownProject)
	if _, rest, ok := strings.Cut(a.GKECluster, "projects/"); ok {
		project, _, _ = strings.Cut(rest, "/")
	}
	return fmt.Sprintf("serviceAccount:%s.svc.id.goog[%s/%s]", project, e.namespace, e.account())
}
