package v1alpha1_test

import (
	"slices"
	"strings"
)

const (
	exchangeMessage       = "at most one of the fields in [workloadIdentityProvider gkeCluster fleetMembership] may be set"
	exchangedMessage      = "workloadIdentityProvider, gkeCluster and fleetMembership need identity.serviceAccountRef: they say where its token is exchanged"
	projectOfMessage      = "project and repositories go together: they name the repositories whose permissions are checked"
	oneHostMessage        = "repositories needs exactly one host: use an entry for each host"
	googleHostMessage     = "a host must be <location>-docker.pkg.dev, such as europe-west1-docker.pkg.dev or us-docker.pkg.dev, or docker.<region>.rep.pkg.dev, or gcr.io, us.gcr.io, eu.gcr.io, asia.gcr.io or marketplace.gcr.io"
	projectMessage        = "project must be the ID of a Google Cloud project, such as my-project"
	repositoryIDMessage   = "a repository must be the ID of an Artifact Registry repository, such as apps, without project and image"
	poolMessage           = "workloadIdentityProvider must be a provider's resource name, such as projects/123456789012/locations/global/workloadIdentityPools/my-pool/providers/my-cluster"
	clusterMessage        = "gkeCluster must be a cluster's resource name, such as projects/my-project/locations/europe-west1/clusters/my-cluster"
	membershipMessage     = "fleetMembership must be a membership's resource name, such as projects/my-project/locations/global/memberships/my-cluster"
	googleAccountMessage  = "serviceAccount must be the email of a Google service account, such as pull@my-project.iam.gserviceaccount.com"
	googleLifetimeMessage = "tokenLifetime must be from 10m to 12h, such as 1h30m"

	googleEntry = "spec.registries[3]"
	google      = googleEntry + ".artifactRegistry"
	gkeEntry    = "spec.registries[4]"
	gke         = gkeEntry + ".artifactRegistry"

	fleetEntry  = "spec.registries[13]"
	fleet       = fleetEntry + ".artifactRegistry"
	memberships = "projects/my-project/locations/global/memberships/"

	pool    = "projects/123456789012/locations/global/workloadIdentityPools/"
	cluster = "projects/my-project/locations/europe-west1/clusters/"
)

func goodArtifactRegistry() []goodCase {
	cases := []goodCase{
		{gke, "{hosts: [gcr.io]}"},
		{gke + ".gkeCluster", "projects/example.com:my-project/locations/europe-west1-b/clusters/" + chars(40)},
		{"spec.registries", "[{name: a, artifactRegistry: {hosts: [gcr.io]}}]"},
		{"spec.registries", "[{name: a, artifactRegistry: {hosts: [gcr.io]}, identity: {secretRef: {name: a}}}]"},
		{gke + ".hosts", "[gcr.io, us.gcr.io, eu.gcr.io, asia.gcr.io, marketplace.gcr.io]"},
		{gke + ".hosts", "[docker.me-central2.rep.pkg.dev, docker.northamerica-northeast1.rep.pkg.dev]"},
		{gke + ".hosts", "[u-france-east1-docker.s3nsregistry.fr, docker.s3nsregistry.fr]"},
		{fleet + ".fleetMembership", "projects/example.com:my-project/locations/europe-west1/memberships/" + chars(63)},
		{fleet + ".readOnlyScope", "false"},
		{gke + ".hosts", "[us-docker.pkg.dev, europe-docker.pkg.dev, asia-docker.pkg.dev, northamerica-northeast1-docker.pkg.dev, europe-west12-docker.pkg.dev]"},
		{gke + ".hosts", "[" + numbered(64, "europe-west%d-docker.pkg.dev") + "]"},
		{google + ".project", "a12345"},
		{google + ".project", chars(30)},
		{google + ".project", `"3m.example.com:my-project"`},
		{google + ".repositories", "[gcr.io, a, my-apps, " + chars(63) + "]"},
		{google + ".repositories", "[" + numbered(16, "apps%d") + "]"},
		{google + ".workloadIdentityProvider", pool + chars(32) + "/providers/" + chars(32)},
		{google + ".workloadIdentityProvider", pool + "a-1b/providers/a-1b"},
		{google + ".serviceAccount", ""},
		{google + ".serviceAccount", "123456789012-compute@developer.gserviceaccount.com"},
		{google + ".serviceAccount", "pull@my-project.example.com.iam.gserviceaccount.com"},
	}
	for lifetime := range strings.FieldsSeq("10m 600s 1h 12h 11h59m60s 720m") {
		cases = append(cases, goodCase{google + ".tokenLifetime", lifetime})
	}
	return cases
}

func badArtifactRegistry() []badCase {
	return slices.Concat(badGooglePlaces(), badGoogleIdentities())
}

// badGooglePlaces are hosts, projects and repositories.
func badGooglePlaces() []badCase {
	const hosts, project, repositories = gke + ".hosts", google + ".project", google + ".repositories"
	return slices.Concat(
		badList(hosts, 64, "europe-west%d-docker.pkg.dev"),
		badList(repositories, 16, "apps%d"),
		[]badCase{
			{"no hosts of Google", hosts, "", hosts, "Required value"},
			{"a project without repositories", gke + ".project", "my-project", gke, projectOfMessage},
			{"repositories without project", project, "", google, projectOfMessage},
			{"repositories of two hosts", google + ".hosts", "[gcr.io, eu.gcr.io]", google, oneHostMessage},
			tooLong(hosts+"[0]", 63),
			tooLong(project, 63),
			tooLong(repositories+"[0]", 63),
		},
		refused(hosts+"[0]", googleHostMessage, "", "docker.pkg.dev", "-docker.pkg.dev", "europe-west1-docker.pkg.dev.evil.example",
			"europe-west1-docker-pkg.dev", "evil.example", "europe-west1-docker.pkg.dev:443", "europe-west1-docker.pkg.dev/my-project",
			"docker.rep.pkg.dev", "docker.europe.rep.pkg.dev", "docker.europe-west1.rep.pkg.dev.evil.example", "docker.europe-west1.rep.pkg-dev.example/", "docker.example",
			"https://gcr.io", "k8s.gcr.io", "evil.gcr.io", "gcr.io.", "GCR.io", "gcrxio", "europe-west1-python.pkg.dev", "a.b-docker.pkg.dev"),
		refused(project, projectMessage, "", "short", "My-project", "1project", "my-project-", chars(31), "my_project", "projects/my-project", "123456789012"),
		refused(repositories+"[0]", repositoryIDMessage, "", "apps/app", "my-project/apps", "Apps", "1apps", "apps-", "*"),
	)
}

// badGoogleIdentities are who asks, and for how long.
func badGoogleIdentities() []badCase {
	const provider, account, lifetime = google + ".workloadIdentityProvider", google + ".serviceAccount", google + ".tokenLifetime"
	return slices.Concat(
		[]badCase{
			{"a pool and a cluster", google + ".gkeCluster", cluster + "my-cluster", google, exchangeMessage},
			{"a pool without identity", googleEntry + ".identity", "", googleEntry, exchangedMessage},
			{"a pool and a Secret", googleEntry + ".identity", "{secretRef: {name: a}}", googleEntry, exchangedMessage},
			{"a fleet and a cluster", fleet + ".gkeCluster", cluster + "my-cluster", fleet, exchangeMessage},
			{"a fleet without identity", fleetEntry + ".identity", "", fleetEntry, exchangedMessage},
			tooLong(fleet+".fleetMembership", 256),
			{"a cluster without identity", gkeEntry + ".identity", "", gkeEntry, exchangedMessage},
			tooLong(provider, 256),
			tooLong(gke+".gkeCluster", 256),
			tooLong(account, 254),
			tooLong(lifetime, 16),
		},
		refused(provider, poolMessage, "", "my-pool", "//iam.googleapis.com/"+pool+"my-pool/providers/my-cluster", pool+"my-pool", pool+"abc/providers/my-cluster",
			pool+"my-pool/providers/"+chars(33), strings.Replace(pool, "global", "europe-west1", 1)+"my-pool/providers/my-cluster",
			"projects/my-project/locations/global/workloadIdentityPools/my-pool/providers/my-cluster"),
		refused(gke+".gkeCluster", clusterMessage, "", "my-cluster", cluster, cluster+"My-cluster", cluster+chars(41),
			"https://container.googleapis.com/v1/"+cluster+"my-cluster", cluster+"my-cluster/nodePools/a"),
		refused(fleet+".fleetMembership", membershipMessage, "", "my-cluster", memberships, memberships+"My-cluster", memberships+chars(64),
			"//gkehub.googleapis.com/"+memberships+"my-cluster", "projects/123456789012/locations/global/memberships/my-cluster"),
		refused(account, googleAccountMessage, "", "pull", "pull@example.com", "pull@my-project.iam.gserviceaccount.com.evil.example",
			"pull@gserviceaccount.com", "pull@my-project.iam.gserviceaccount.com:generateAccessToken", "../pull@my-project.iam.gserviceaccount.com"),
		refused(lifetime, googleLifetimeMessage, badLifetimes("9m59s", "12h1s")...),
	)
}

// badLifetimes are texts that are none, and those that are too short or too long.
func badLifetimes(more ...string) []string {
	return append(more, "", "1", "1d", "1.5h", "1h 30m", "-1h", "+1h", "1H", "100ms", "900000us", "100000h", "99999h99999h")
}
