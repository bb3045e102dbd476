# prod: The identity is a ServiceAccount. No pod runs as it.
# prod: A role that the identity becomes.
resource "aws_iam_role" "regcred_registry_pull_prod" {
  name = "regcred-registry-pull-prod"
  assume_role_policy = "{\"Statement\":[{\"Action\":\"sts:AssumeRoleWithWebIdentity\",\"Condition\":{\"StringEquals\":{\"oidc.example.com/id/1:aud\":\"sts.amazonaws.com\",\"oidc.example.com/id/1:sub\":\"system:serviceaccount:regcred-system:ecr-puller\"}},\"Effect\":\"Allow\",\"Principal\":{\"Federated\":\"arn:aws:iam::123456789012:oidc-provider/oidc.example.com/id/1\"}}],\"Version\":\"2012-10-17\"}"
}

# prod: It may pull, and nothing else. Name the repositories instead of * where
# you can.
resource "aws_iam_role_policy" "regcred_registry_pull_prod" {
  name = "regcred-pull"
  role = "regcred-registry-pull-prod"
  policy = "{\"Statement\":[{\"Action\":\"ecr:GetAuthorizationToken\",\"Effect\":\"Allow\",\"Resource\":\"*\"},{\"Action\":[\"ecr:BatchCheckLayerAvailability\",\"ecr:BatchGetImage\",\"ecr:GetDownloadUrlForLayer\"],\"Effect\":\"Allow\",\"Resource\":[\"arn:aws:ecr:eu-west-1:123456789012:repository/*\",\"arn:aws:ecr:eu-west-1:210987654321:repository/*\"]}],\"Version\":\"2012-10-17\"}"
}

# prod: The ServiceAccount names the role.
# prod: The repositories of the other accounts (210987654321) need a policy each
# that lets the role in: docs/providers/ecr.md.
# china: The identity is a Secret, with the keys that docs/providers names, and
# a label.
# china: A role that the identity becomes.
resource "aws_iam_role" "pull" {
  name = "pull"
  assume_role_policy = "{\"Statement\":[{\"Action\":\"sts:AssumeRole\",\"Condition\":{\"StringEquals\":{\"sts:ExternalId\":\"my-cluster\"}},\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws-cn:iam::AWS-ACCOUNT:role/IDENTITY\"}}],\"Version\":\"2012-10-17\"}"
}

# china: It may pull, and nothing else. Name the repositories instead of * where
# you can.
resource "aws_iam_role_policy" "pull" {
  name = "regcred-pull"
  role = "pull"
  policy = "{\"Statement\":[{\"Action\":\"ecr:GetAuthorizationToken\",\"Effect\":\"Allow\",\"Resource\":\"*\"},{\"Action\":[\"ecr:BatchCheckLayerAvailability\",\"ecr:BatchGetImage\",\"ecr:GetDownloadUrlForLayer\"],\"Effect\":\"Allow\",\"Resource\":[\"arn:aws-cn:ecr:cn-north-1:123456789012:repository/*\"]}],\"Version\":\"2012-10-17\"}"
}

# public: The identity is the controller's own: what follows is for the role,
# service account or managed identity that its pods run with.
# public: It may pull, and nothing else. Name the repositories instead of *
# where you can.
resource "aws_iam_role_policy" "regcred_registry_pull_public" {
  name = "regcred-pull"
  role = "regcred-registry-pull-public"
  policy = "{\"Statement\":[{\"Action\":[\"ecr-public:GetAuthorizationToken\",\"sts:GetServiceBearerToken\"],\"Effect\":\"Allow\",\"Resource\":\"*\"}],\"Version\":\"2012-10-17\"}"
}

# google: The identity is a ServiceAccount. No pod runs as it.
# google: The ServiceAccount acts as the service account.
resource "google_service_account_iam_member" "regcred_registry_pull_google" {
  service_account_id = "projects/-/serviceAccounts/pull@my-project.iam.gserviceaccount.com"
  role = "roles/iam.workloadIdentityUser"
  member = "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/my-pool/subject/system:serviceaccount:regcred-system:gar-puller"
}

# google: It may read repository apps.
resource "google_artifact_registry_repository_iam_member" "regcred_registry_pull_google_europe_west1_docker_pkg_dev_apps" {
  project = "my-project"
  location = "europe-west1"
  repository = "apps"
  role = "roles/artifactregistry.reader"
  member = "serviceAccount:pull@my-project.iam.gserviceaccount.com"
}

# azure: The identity is a ServiceAccount. No pod runs as it.
# azure: A managed identity trusts the ServiceAccount.
resource "azurerm_federated_identity_credential" "regcred_registry_pull_azure" {
  name = "regcred-registry-pull-azure"
  resource_group_name = "RESOURCE-GROUP"
  parent_id = azurerm_user_assigned_identity.IDENTITY.id
  issuer = "https://oidc.example.com/id/1"
  subject = "system:serviceaccount:regcred-system:acr-puller"
  audience = ["api://AzureADTokenExchange"]
}

# azure: It may pull from the registry.
resource "azurerm_role_assignment" "regcred_registry_pull_azure" {
  scope = data.azurerm_container_registry.acme.id
  role_definition_name = "AcrPull"
  principal_id = azurerm_user_assigned_identity.IDENTITY.principal_id
}

# jfrog: The identity is a ServiceAccount. No pod runs as it.
# jfrog: An identity mapping lets the ServiceAccount in, as a group that may
# read.
# jfrog: The controller asks for tokens with the audience https://acme.jfrog.io:
# allow it among policies.tokenAudiences of the chart.
# hub: The identity is a Secret, with the keys that docs/providers names, and a
# label.
# gke: The identity is a ServiceAccount. No pod runs as it.
# gke: It may read repository gcr.io.
resource "google_artifact_registry_repository_iam_member" "regcred_pull_gke_gcr_io_gcr_io" {
  project = "GOOGLE-PROJECT"
  location = "us"
  repository = "gcr.io"
  role = "roles/artifactregistry.reader"
  member = "serviceAccount:my-project.svc.id.goog[team-a/gar-puller]"
}

