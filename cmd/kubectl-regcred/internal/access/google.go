package access

import (
	"fmt"
	"strings"
)

// locations are those of the hosts of gcr.io, which are repositories of the same name.
var locations = map[string]string{"gcr.io": "us", "us.gcr.io": "us", "eu.gcr.io": "europe", "asia.gcr.io": "asia"}

func (e *entry) google() {
	a := e.ArtifactRegistry
	project := orElse(a.Project, unknownProject)
	member := "serviceAccount:" + unknownIdentity
	switch {
	case a.ServiceAccount != "":
		member = "serviceAccount:" + a.ServiceAccount
		if own := e.googleMember(); own != "" {
			e.step("The ServiceAccount acts as the service account.", sh("gcloud", "iam", "service-accounts", "add-iam-policy-binding", a.ServiceAccount,
				"--role=roles/iam.workloadIdentityUser", "--member="+own),
				block("google_service_account_iam_member", e.id(), attribute{"service_account_id", "projects/-/serviceAccounts/" + a.ServiceAccount, false},
					attribute{"role", "roles/iam.workloadIdentityUser", false}, attribute{"member", own, false}))
		}
	case e.account() != "":
		member = e.googleMember()
	}
	for _, host := range a.Hosts {
		location, repositories := locations[host], a.Repositories
		if location != "" {
			repositories = []string{host}
		} else {
			location = strings.TrimSuffix(host, "-docker.pkg.dev")
		}
		if len(repositories) == 0 {
			repositories = []string{"REPOSITORY"}
		}
		for _, repository := range repositories {
			e.step(fmt.Sprintf("It may read repository %s.", repository),
				sh("gcloud", "artifacts", "repositories", "add-iam-policy-binding", repository, "--project="+project, "--location="+location,
					"--role=roles/artifactregistry.reader", "--member="+member),
				block("google_artifact_registry_repository_iam_member", e.id()+"-"+host+"-"+repository, attribute{"project", project, false},
					attribute{"location", location, false}, attribute{"repository", repository, false},
					attribute{"role", "roles/artifactregistry.reader", false}, attribute{"member", member, false}))
		}
	}
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
	project := unknownProject
	if _, rest, ok := strings.Cut(a.GKECluster, "projects/"); ok {
		project, _, _ = strings.Cut(rest, "/")
	}
	return fmt.Sprintf("serviceAccount:%s.svc.id.goog[%s/%s]", project, e.namespace, e.account())
}
