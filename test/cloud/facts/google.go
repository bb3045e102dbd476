package facts

// GoogleHosts are the registry hosts that Google's own credential helper logs in to. Source: docker-credential-gcr, config/const.go at
// ade502b63aea84620836e4a0182757c33da555ab (2026-11-25): DefaultGCRRegistries and DefaultARRegistries, each host once.
var GoogleHosts = []string{
	"gcr.io", "us.gcr.io", "eu.gcr.io", "asia.gcr.io", "marketplace.gcr.io",
	"africa-south1-docker.pkg.dev", "asia-docker.pkg.dev", "asia-east1-docker.pkg.dev", "asia-east2-docker.pkg.dev",
	"asia-northeast1-docker.pkg.dev", "asia-northeast2-docker.pkg.dev", "asia-northeast3-docker.pkg.dev", "asia-south1-docker.pkg.dev",
	"asia-south2-docker.pkg.dev", "asia-southeast1-docker.pkg.dev", "asia-southeast2-docker.pkg.dev", "asia-southeast3-docker.pkg.dev",
	"australia-southeast1-docker.pkg.dev", "australia-southeast2-docker.pkg.dev", "docker.africa-south1.rep.pkg.dev",
	"docker.asia-east1.rep.pkg.dev", "docker.asia-east2.rep.pkg.dev", "docker.asia-northeast1.rep.pkg.dev",
	"docker.asia-northeast2.rep.pkg.dev", "docker.asia-northeast3.rep.pkg.dev", "docker.asia-south1.rep.pkg.dev",
	"docker.asia-south2.rep.pkg.dev", "docker.asia-southeast1.rep.pkg.dev", "docker.asia-southeast2.rep.pkg.dev",
	"docker.australia-southeast1.rep.pkg.dev", "docker.australia-southeast2.rep.pkg.dev", "docker.europe-central2.rep.pkg.dev",
	"docker.europe-north1.rep.pkg.dev", "docker.europe-southwest1.rep.pkg.dev", "docker.europe-west1.rep.pkg.dev",
	"docker.europe-west10.rep.pkg.dev", "docker.europe-west12.rep.pkg.dev", "docker.europe-west2.rep.pkg.dev",
	"docker.europe-west3.rep.pkg.dev", "docker.europe-west4.rep.pkg.dev", "docker.europe-west6.rep.pkg.dev",
	"docker.europe-west8.rep.pkg.dev", "docker.europe-west9.rep.pkg.dev", "docker.me-central1.rep.pkg.dev", "docker.me-central2.rep.pkg.dev",
	"docker.me-west1.rep.pkg.dev", "docker.northamerica-northeast1.rep.pkg.dev", "docker.northamerica-northeast2.rep.pkg.dev",
	"docker.southamerica-east1.rep.pkg.dev", "docker.southamerica-west1.rep.pkg.dev", "docker.us-central1.rep.pkg.dev",
	"docker.us-east1.rep.pkg.dev", "docker.us-east4.rep.pkg.dev", "docker.us-east5.rep.pkg.dev", "docker.us-south1.rep.pkg.dev",
	"docker.us-west1.rep.pkg.dev", "docker.us-west2.rep.pkg.dev", "docker.us-west3.rep.pkg.dev", "docker.us-west4.rep.pkg.dev",
	"docker.us-west8.rep.pkg.dev", "europe-central2-docker.pkg.dev", "europe-docker.pkg.dev", "europe-north1-docker.pkg.dev",
	"europe-north2-docker.pkg.dev", "europe-southwest1-docker.pkg.dev", "europe-west1-docker.pkg.dev", "europe-west10-docker.pkg.dev",
	"europe-west12-docker.pkg.dev", "europe-west2-docker.pkg.dev", "europe-west3-docker.pkg.dev", "europe-west4-docker.pkg.dev",
	"europe-west6-docker.pkg.dev", "europe-west8-docker.pkg.dev", "europe-west9-docker.pkg.dev", "me-central1-docker.pkg.dev",
	"me-central2-docker.pkg.dev", "me-west1-docker.pkg.dev", "northamerica-northeast1-docker.pkg.dev",
	"northamerica-northeast2-docker.pkg.dev", "northamerica-south1-docker.pkg.dev", "southamerica-east1-docker.pkg.dev",
	"southamerica-west1-docker.pkg.dev", "us-central1-docker.pkg.dev", "us-docker.pkg.dev", "us-east1-docker.pkg.dev",
	"us-east4-docker.pkg.dev", "us-east5-docker.pkg.dev", "us-south1-docker.pkg.dev", "us-west1-docker.pkg.dev", "us-west2-docker.pkg.dev",
	"us-west3-docker.pkg.dev", "us-west4-docker.pkg.dev", "us-west8-docker.pkg.dev",
}

// GoogleScope is that of a token with which Docker logs in. Source: docker-credential-gcr, config/const.go, GCRScopes (2026-11-26).
const GoogleScope = "https://www.googleapis.com/auth/cloud-platform"

// GoogleUniverse is a universe other than Google Cloud's own, the domain of its APIs and the suffix of its registry hosts. Source: S3NS,
// "Cloud de Confiance: Artifact Registry differences": s3nsregistry.fr in place of pkg.dev; hosts as in its documentation (2026-11-25).
var GoogleUniverse = struct {
	Domain, Suffix string
	Hosts          []string
}{"s3nsapis.fr", "s3nsregistry.fr", []string{"u-france-east1-docker.s3nsregistry.fr", "docker.s3nsregistry.fr"}}

// GoogleAudiences are what a cluster's token is exchanged for, by kind. Sources: IAM, "Workload identity federation with Kubernetes"; the
// configuration that `gcloud container fleet memberships generate-gateway-rbac` and the fleet documentation give for a fleet, "identitynamespace:<pool>:
// https://gkehub.googleapis.com/<membership>" (2026-11-25).
var GoogleAudiences = map[string]string{
	"GKE":   "identitynamespace:my-project.svc.id.goog:https://container.googleapis.com/v1/projects/my-project/locations/europe-west1/clusters/my-cluster",
	"fleet": "identitynamespace:my-project.svc.id.goog:https://gkehub.googleapis.com/projects/my-project/locations/global/memberships/my-cluster",
}
