# prod: The identity is a ServiceAccount. No pod runs as it.
# kubectl create serviceaccount ecr-puller --namespace=regcred-system

# prod: A role that the identity becomes.
resource "aws_iam_role" "regcred_registry_pull_prod" {
  name = "regcred-registry-pull-prod"
  assume_role_policy = "{\"Statement\":[{\"Action\":\"sts:AssumeRoleWithWebIdentity\",\"Condition\":{\"StringEquals\":{\"oidc.example.com/id/1:aud\":\"sts.amazonaws.com\",\"oidc.example.com/id/1:sub\":\"system:serviceaccount:regcred-system:ecr-puller\"}},\"Effect\":\"Allow\",\"Principal\":{\"Federated\":\"arn:aws:iam::123456789012:oidc-provider/oidc.example.com/id/1\"}}],\"Version\":\"2012-10-17\"}"
}

# prod: The ServiceAccount names the role.
# kubectl annotate serviceaccount ecr-puller --namespace=regcred-system eks.amazonaws.com/role-arn=arn:aws:iam::123456789012:role/regcred-registry-pull-prod

# prod: It may pull, and nothing else. Name the repositories instead of * where
# you can.
resource "aws_iam_role_policy" "regcred_registry_pull_prod" {
  name = "regcred-registry-pull-prod"
  role = aws_iam_role.regcred_registry_pull_prod.name
  policy = "{\"Statement\":[{\"Action\":\"ecr:GetAuthorizationToken\",\"Effect\":\"Allow\",\"Resource\":\"*\"},{\"Action\":[\"ecr:BatchCheckLayerAvailability\",\"ecr:BatchGetImage\",\"ecr:GetDownloadUrlForLayer\"],\"Effect\":\"Allow\",\"Resource\":[\"arn:aws:ecr:eu-west-1:123456789012:repository/*\",\"arn:aws:ecr:eu-west-1:210987654321:repository/*\"]}],\"Version\":\"2012-10-17\"}"
}

# prod: The repositories of the other accounts (210987654321) need a policy each
# that lets the role in: docs/providers/ecr.md.
# china: The identity is a Secret, with the keys that docs/providers names, and
# a label.
# kubectl label secret key --namespace=regcred-system regcred.dev/secret=identity

# china: It may become the role of the entry.
resource "aws_iam_user_policy" "regcred_registry_pull_china_assume" {
  name = "regcred-registry-pull-china-assume"
  user = "IAM-USER"
  policy = "{\"Statement\":[{\"Action\":\"sts:AssumeRole\",\"Effect\":\"Allow\",\"Resource\":\"arn:aws-cn:iam::123456789012:role/pull\"}],\"Version\":\"2012-10-17\"}"
}

# china: A role that the identity becomes.
resource "aws_iam_role" "regcred_registry_pull_china_assumed" {
  name = "pull"
  assume_role_policy = "{\"Statement\":[{\"Action\":\"sts:AssumeRole\",\"Condition\":{\"StringEquals\":{\"sts:ExternalId\":\"my-cluster\"}},\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws-cn:iam::AWS-ACCOUNT:user/IAM-USER\"}}],\"Version\":\"2012-10-17\"}"
}

# china: It may pull, and nothing else. Name the repositories instead of * where
# you can.
resource "aws_iam_role_policy" "regcred_registry_pull_china" {
  name = "regcred-registry-pull-china"
  role = aws_iam_role.regcred_registry_pull_china_assumed.name
  policy = "{\"Statement\":[{\"Action\":\"ecr:GetAuthorizationToken\",\"Effect\":\"Allow\",\"Resource\":\"*\"},{\"Action\":[\"ecr:BatchCheckLayerAvailability\",\"ecr:BatchGetImage\",\"ecr:GetDownloadUrlForLayer\"],\"Effect\":\"Allow\",\"Resource\":[\"arn:aws-cn:ecr:cn-north-1:123456789012:repository/*\"]}],\"Version\":\"2012-10-17\"}"
}

# frankfurt: The identity is ServiceAccount ecr-puller, as above.
# frankfurt: It may pull, and nothing else. Name the repositories instead of *
# where you can.
resource "aws_iam_role_policy" "regcred_registry_pull_frankfurt" {
  name = "regcred-registry-pull-frankfurt"
  role = aws_iam_role.regcred_registry_pull_prod.name
  policy = "{\"Statement\":[{\"Action\":\"ecr:GetAuthorizationToken\",\"Effect\":\"Allow\",\"Resource\":\"*\"},{\"Action\":[\"ecr:BatchCheckLayerAvailability\",\"ecr:BatchGetImage\",\"ecr:GetDownloadUrlForLayer\"],\"Effect\":\"Allow\",\"Resource\":[\"arn:aws:ecr:eu-central-1:123456789012:repository/*\"]}],\"Version\":\"2012-10-17\"}"
}

# chained: The identity is a ServiceAccount. No pod runs as it.
# kubectl create serviceaccount chain-puller --namespace=regcred-system

# chained: A role that the identity becomes.
resource "aws_iam_role" "regcred_registry_pull_chained" {
  name = "regcred-registry-pull-chained"
  assume_role_policy = "{\"Statement\":[{\"Action\":\"sts:AssumeRoleWithWebIdentity\",\"Condition\":{\"StringEquals\":{\"oidc.example.com/id/1:aud\":\"sts.amazonaws.com\",\"oidc.example.com/id/1:sub\":\"system:serviceaccount:regcred-system:chain-puller\"}},\"Effect\":\"Allow\",\"Principal\":{\"Federated\":\"arn:aws:iam::AWS-ACCOUNT:oidc-provider/oidc.example.com/id/1\"}}],\"Version\":\"2012-10-17\"}"
}

# chained: The ServiceAccount names the role.
# kubectl annotate serviceaccount chain-puller --namespace=regcred-system eks.amazonaws.com/role-arn=arn:aws:iam::AWS-ACCOUNT:role/regcred-registry-pull-chained

# chained: It may become the role of the entry.
resource "aws_iam_role_policy" "regcred_registry_pull_chained_assume" {
  name = "regcred-registry-pull-chained-assume"
  role = aws_iam_role.regcred_registry_pull_chained.name
  policy = "{\"Statement\":[{\"Action\":\"sts:AssumeRole\",\"Effect\":\"Allow\",\"Resource\":\"arn:aws:iam::210987654321:role/team/chained\"}],\"Version\":\"2012-10-17\"}"
}

# chained: A role that the identity becomes.
resource "aws_iam_role" "regcred_registry_pull_chained_assumed" {
  name = "chained"
  assume_role_policy = "{\"Statement\":[{\"Action\":\"sts:AssumeRole\",\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::AWS-ACCOUNT:role/regcred-registry-pull-chained\"}}],\"Version\":\"2012-10-17\"}"
}

# chained: It may pull, and nothing else. Name the repositories instead of *
# where you can.
resource "aws_iam_role_policy" "regcred_registry_pull_chained" {
  name = "regcred-registry-pull-chained"
  role = aws_iam_role.regcred_registry_pull_chained_assumed.name
  policy = "{\"Statement\":[{\"Action\":\"ecr:GetAuthorizationToken\",\"Effect\":\"Allow\",\"Resource\":\"*\"},{\"Action\":[\"ecr:BatchCheckLayerAvailability\",\"ecr:BatchGetImage\",\"ecr:GetDownloadUrlForLayer\"],\"Effect\":\"Allow\",\"Resource\":[\"arn:aws:ecr:eu-west-1:210987654321:repository/*\"]}],\"Version\":\"2012-10-17\"}"
}

# chained-ambient: The identity is the controller's own: what follows is for the
# role, service account or managed identity that its pods run with.
# chained-ambient: It may become the role of the entry.
resource "aws_iam_role_policy" "regcred_registry_pull_chained_ambient_assume" {
  name = "regcred-registry-pull-chained-ambient-assume"
  role = "CONTROLLER-ROLE"
  policy = "{\"Statement\":[{\"Action\":\"sts:AssumeRole\",\"Effect\":\"Allow\",\"Resource\":\"arn:aws:iam::210987654321:role/team/chained\"}],\"Version\":\"2012-10-17\"}"
}

# chained-ambient: The role is made above. It lets this identity in, too.
# aws iam update-assume-role-policy --role-name chained --policy-document '{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::AWS-ACCOUNT:role/regcred-registry-pull-chained"}},{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::AWS-ACCOUNT:role/CONTROLLER-ROLE"}}],"Version":"2012-10-17"}'

# chained-ambient: It may pull, and nothing else. Name the repositories instead
# of * where you can.
resource "aws_iam_role_policy" "regcred_registry_pull_chained_ambient" {
  name = "regcred-registry-pull-chained-ambient"
  role = aws_iam_role.regcred_registry_pull_chained_assumed.name
  policy = "{\"Statement\":[{\"Action\":\"ecr:GetAuthorizationToken\",\"Effect\":\"Allow\",\"Resource\":\"*\"},{\"Action\":[\"ecr:BatchCheckLayerAvailability\",\"ecr:BatchGetImage\",\"ecr:GetDownloadUrlForLayer\"],\"Effect\":\"Allow\",\"Resource\":[\"arn:aws:ecr:eu-central-1:210987654321:repository/*\"]}],\"Version\":\"2012-10-17\"}"
}

# public: The identity is the controller's own: what follows is for the role,
# service account or managed identity that its pods run with.
# public: It may pull, and nothing else. Name the repositories instead of *
# where you can.
resource "aws_iam_role_policy" "regcred_registry_pull_public" {
  name = "regcred-registry-pull-public"
  role = "CONTROLLER-ROLE"
  policy = "{\"Statement\":[{\"Action\":[\"ecr-public:GetAuthorizationToken\",\"sts:GetServiceBearerToken\"],\"Effect\":\"Allow\",\"Resource\":\"*\"}],\"Version\":\"2012-10-17\"}"
}

# google: The identity is a ServiceAccount. No pod runs as it.
# kubectl create serviceaccount gar-puller --namespace=regcred-system

# google: The identity acts as the service account.
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
# kubectl create serviceaccount acr-puller --namespace=regcred-system

# azure: A managed identity trusts the ServiceAccount.
data "azurerm_user_assigned_identity" "regcred_registry_pull_azure" {
  name = "IDENTITY"
  resource_group_name = "RESOURCE-GROUP"
}
resource "azurerm_federated_identity_credential" "regcred_registry_pull_azure" {
  name = "regcred-registry-pull-azure"
  resource_group_name = "RESOURCE-GROUP"
  parent_id = data.azurerm_user_assigned_identity.regcred_registry_pull_azure.id
  issuer = "https://oidc.example.com/id/1"
  subject = "system:serviceaccount:regcred-system:acr-puller"
  audience = ["api://AzureADTokenExchange"]
}

# azure: The ServiceAccount names the identity: az identity show prints its IDs.
# kubectl annotate serviceaccount acr-puller --namespace=regcred-system azure.workload.identity/tenant-id=TENANT-ID

# azure: It may pull from the registry.
data "azurerm_container_registry" "regcred_registry_pull_azure" {
  name = "acme"
  resource_group_name = "RESOURCE-GROUP"
}
resource "azurerm_role_assignment" "regcred_registry_pull_azure" {
  scope = data.azurerm_container_registry.regcred_registry_pull_azure.id
  role_definition_name = "AcrPull"
  principal_id = data.azurerm_user_assigned_identity.regcred_registry_pull_azure.principal_id
}

# azure-china: The identity is ServiceAccount acr-puller, as above.
# azure-china: A managed identity trusts the ServiceAccount.
data "azurerm_user_assigned_identity" "regcred_registry_pull_azure_china" {
  name = "IDENTITY"
  resource_group_name = "RESOURCE-GROUP"
}
resource "azurerm_federated_identity_credential" "regcred_registry_pull_azure_china" {
  name = "regcred-registry-pull-azure-china"
  resource_group_name = "RESOURCE-GROUP"
  parent_id = data.azurerm_user_assigned_identity.regcred_registry_pull_azure_china.id
  issuer = "https://oidc.example.com/id/1"
  subject = "system:serviceaccount:regcred-system:acr-puller"
  audience = ["api://AzureADTokenExchangeChina"]
}

# azure-china: The ServiceAccount names the identity: az identity show prints
# its IDs.
# kubectl annotate serviceaccount acr-puller --namespace=regcred-system azure.workload.identity/client-id=CLIENT-ID

# azure-china: It may pull from the registry.
data "azurerm_container_registry" "regcred_registry_pull_azure_china" {
  name = "acme"
  resource_group_name = "RESOURCE-GROUP"
}
resource "azurerm_role_assignment" "regcred_registry_pull_azure_china" {
  scope = data.azurerm_container_registry.regcred_registry_pull_azure_china.id
  role_definition_name = "AcrPull"
  principal_id = data.azurerm_user_assigned_identity.regcred_registry_pull_azure_china.principal_id
}

# jfrog: The identity is a ServiceAccount. No pod runs as it.
# kubectl create serviceaccount jfrog-puller --namespace=regcred-system

# jfrog: An identity mapping lets the ServiceAccount in, as a group that may
# read.
# curl --fail --json '{"claims":{"aud":"https://acme.jfrog.io","iss":"https://oidc.example.com/id/1","sub":"system:serviceaccount:regcred-system:jfrog-puller"},"name":"regcred-registry-pull-jfrog","priority":1,"token_spec":{"audience":"jfrt@*","expires_in":21600,"scope":"applied-permissions/groups:READERS"}}' --header 'Authorization: Bearer JFROG-ADMIN-TOKEN' https://acme.jfrog.io/access/api/v1/oidc/cluster/identity_mappings

# jfrog: The controller asks for tokens with the audience https://acme.jfrog.io:
# allow it among policies.tokenAudiences of the chart.
# hub: The identity is a Secret, with the keys that docs/providers names, and a
# label.
# kubectl label secret hub --namespace=regcred-system regcred.dev/secret=identity

# gke: The identity is a ServiceAccount. No pod runs as it.
# kubectl create serviceaccount gar-puller --namespace=team-a

# gke: It may read repository gcr.io.
resource "google_artifact_registry_repository_iam_member" "regcred_team_a_pull_gke_gcr_io_gcr_io" {
  project = "GOOGLE-PROJECT"
  location = "us"
  repository = "gcr.io"
  role = "roles/artifactregistry.reader"
  member = "serviceAccount:my-project.svc.id.goog[team-a/gar-puller]"
}

