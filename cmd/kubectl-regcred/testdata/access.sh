# What cregcred/registry-pull needs. What stands in capitals is for you to fill
# in.

# prod (ecr)
# The identity is a ServiceAccount. No pod runs as it.
kubectl create serviceaccount ecr-puller --namespace=regcred-system
# A role that the identity becomes.
aws iam create-role --role-name regcred-registry-pull-prod --assume-role-policy-document '{"Statement":[{"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"oidc.example.com/id/1:aud":"sts.amazonaws.com","oidc.example.com/id/1:sub":"system:serviceaccount:regcred-system:ecr-puller"}},"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::123456789012:oidc-provider/oidc.example.com/id/1"}}],"Version":"2012-10-17"}'
# The ServiceAccount names the role.
kubectl annotate serviceaccount ecr-puller --namespace=regcred-system eks.amazonaws.com/role-arn=arn:aws:iam::123456789012:role/regcred-registry-pull-prod
# It may pull, and nothing else. Name the repositories instead of * where you
# can.
aws iam put-role-policy --role-name regcred-registry-pull-prod --policy-name regcred-registry-pull-prod --policy-document '{"Statement":[{"Action":"ecr:GetAuthorizationToken","Effect":"Allow","Resource":"*"},{"Action":["ecr:BatchCheckLayerAvailability","ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"],"Effect":"Allow","Resource":["arn:aws:ecr:eu-west-1:123456789012:repository/*","arn:aws:ecr:eu-west-1:210987654321:repository/*"]}],"Version":"2012-10-17"}'
# The repositories of the other accounts (210987654321) need a policy each that
# lets the role in: docs/providers/ecr.md.

# china (ecr)
# The identity is a Secret, with the keys that docs/providers names, and a
# label.
kubectl label secret key --namespace=regcred-system regcred.dev/secret=identity
# It may become the role of the entry.
aws iam put-user-policy --user-name IAM-USER --policy-name regcred-registry-pull-china-assume --policy-document '{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Resource":"arn:aws-cn:iam::123456789012:role/pull"}],"Version":"2012-10-17"}'
# A role that the identity becomes.
aws iam create-role --role-name pull --assume-role-policy-document '{"Statement":[{"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"my-cluster"}},"Effect":"Allow","Principal":{"AWS":"arn:aws-cn:iam::AWS-ACCOUNT:user/IAM-USER"}}],"Version":"2012-10-17"}'
# It may pull, and nothing else. Name the repositories instead of * where you
# can.
aws iam put-role-policy --role-name pull --policy-name regcred-registry-pull-china --policy-document '{"Statement":[{"Action":"ecr:GetAuthorizationToken","Effect":"Allow","Resource":"*"},{"Action":["ecr:BatchCheckLayerAvailability","ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"],"Effect":"Allow","Resource":["arn:aws-cn:ecr:cn-north-1:123456789012:repository/*"]}],"Version":"2012-10-17"}'

# frankfurt (ecr)
# The identity is ServiceAccount ecr-puller, as above.
# It may pull, and nothing else. Name the repositories instead of * where you
# can.
aws iam put-role-policy --role-name regcred-registry-pull-prod --policy-name regcred-registry-pull-frankfurt --policy-document '{"Statement":[{"Action":"ecr:GetAuthorizationToken","Effect":"Allow","Resource":"*"},{"Action":["ecr:BatchCheckLayerAvailability","ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"],"Effect":"Allow","Resource":["arn:aws:ecr:eu-central-1:123456789012:repository/*"]}],"Version":"2012-10-17"}'

# chained (ecr)
# The identity is a ServiceAccount. No pod runs as it.
kubectl create serviceaccount chain-puller --namespace=regcred-system
# A role that the identity becomes.
aws iam create-role --role-name regcred-registry-pull-chained --assume-role-policy-document '{"Statement":[{"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"oidc.example.com/id/1:aud":"sts.amazonaws.com","oidc.example.com/id/1:sub":"system:serviceaccount:regcred-system:chain-puller"}},"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::AWS-ACCOUNT:oidc-provider/oidc.example.com/id/1"}}],"Version":"2012-10-17"}'
# The ServiceAccount names the role.
kubectl annotate serviceaccount chain-puller --namespace=regcred-system eks.amazonaws.com/role-arn=arn:aws:iam::AWS-ACCOUNT:role/regcred-registry-pull-chained
# It may become the role of the entry.
aws iam put-role-policy --role-name regcred-registry-pull-chained --policy-name regcred-registry-pull-chained-assume --policy-document '{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Resource":"arn:aws:iam::210987654321:role/team/chained"}],"Version":"2012-10-17"}'
# A role that the identity becomes.
aws iam create-role --role-name chained --assume-role-policy-document '{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::AWS-ACCOUNT:role/regcred-registry-pull-chained"}}],"Version":"2012-10-17"}'
# It may pull, and nothing else. Name the repositories instead of * where you
# can.
aws iam put-role-policy --role-name chained --policy-name regcred-registry-pull-chained --policy-document '{"Statement":[{"Action":"ecr:GetAuthorizationToken","Effect":"Allow","Resource":"*"},{"Action":["ecr:BatchCheckLayerAvailability","ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"],"Effect":"Allow","Resource":["arn:aws:ecr:eu-west-1:210987654321:repository/*"]}],"Version":"2012-10-17"}'

# chained-ambient (ecr)
# The identity is the controller's own: what follows is for the role, service
# account or managed identity that its pods run with.
# It may become the role of the entry.
aws iam put-role-policy --role-name CONTROLLER-ROLE --policy-name regcred-registry-pull-chained-ambient-assume --policy-document '{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Resource":"arn:aws:iam::210987654321:role/team/chained"}],"Version":"2012-10-17"}'
# The role is made above. It lets this identity in, too.
aws iam update-assume-role-policy --role-name chained --policy-document '{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::AWS-ACCOUNT:role/regcred-registry-pull-chained"}},{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::AWS-ACCOUNT:role/CONTROLLER-ROLE"}}],"Version":"2012-10-17"}'
# It may pull, and nothing else. Name the repositories instead of * where you
# can.
aws iam put-role-policy --role-name chained --policy-name regcred-registry-pull-chained-ambient --policy-document '{"Statement":[{"Action":"ecr:GetAuthorizationToken","Effect":"Allow","Resource":"*"},{"Action":["ecr:BatchCheckLayerAvailability","ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"],"Effect":"Allow","Resource":["arn:aws:ecr:eu-central-1:210987654321:repository/*"]}],"Version":"2012-10-17"}'

# public (ecrPublic)
# The identity is the controller's own: what follows is for the role, service
# account or managed identity that its pods run with.
# It may pull, and nothing else. Name the repositories instead of * where you
# can.
aws iam put-role-policy --role-name CONTROLLER-ROLE --policy-name regcred-registry-pull-public --policy-document '{"Statement":[{"Action":["ecr-public:GetAuthorizationToken","sts:GetServiceBearerToken"],"Effect":"Allow","Resource":"*"}],"Version":"2012-10-17"}'

# google (artifactRegistry)
# The identity is a ServiceAccount. No pod runs as it.
kubectl create serviceaccount gar-puller --namespace=regcred-system
# The identity acts as the service account.
gcloud iam service-accounts add-iam-policy-binding pull@my-project.iam.gserviceaccount.com --role=roles/iam.workloadIdentityUser --member=principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/my-pool/subject/system:serviceaccount:regcred-system:gar-puller
# It may read repository apps.
gcloud artifacts repositories add-iam-policy-binding apps --project=my-project --location=europe-west1 --role=roles/artifactregistry.reader --member=serviceAccount:pull@my-project.iam.gserviceaccount.com

# azure (acr)
# The identity is a ServiceAccount. No pod runs as it.
kubectl create serviceaccount acr-puller --namespace=regcred-system
# A managed identity trusts the ServiceAccount.
az identity federated-credential create --resource-group RESOURCE-GROUP --identity-name IDENTITY --name regcred-registry-pull-azure --issuer https://oidc.example.com/id/1 --subject system:serviceaccount:regcred-system:acr-puller --audiences api://AzureADTokenExchange
# The ServiceAccount names the identity: az identity show prints its IDs.
kubectl annotate serviceaccount acr-puller --namespace=regcred-system azure.workload.identity/tenant-id=TENANT-ID
# It may pull from the registry.
az role assignment create --assignee 72f988bf-86f1-41af-91ab-2d7cd011db47 --role AcrPull --scope "$(az acr show --name acme --query id --output tsv)"

# azure-china (acr)
# The identity is ServiceAccount acr-puller, as above.
# A managed identity trusts the ServiceAccount.
az identity federated-credential create --resource-group RESOURCE-GROUP --identity-name IDENTITY --name regcred-registry-pull-azure-china --issuer https://oidc.example.com/id/1 --subject system:serviceaccount:regcred-system:acr-puller --audiences api://AzureADTokenExchangeChina
# The ServiceAccount names the identity: az identity show prints its IDs.
kubectl annotate serviceaccount acr-puller --namespace=regcred-system azure.workload.identity/client-id=CLIENT-ID
# It may pull from the registry.
az role assignment create --assignee CLIENT-ID --role AcrPull --scope "$(az acr show --name acme --query id --output tsv)"

# jfrog (artifactory)
# The identity is a ServiceAccount. No pod runs as it.
kubectl create serviceaccount jfrog-puller --namespace=regcred-system
# An identity mapping lets the ServiceAccount in, as a group that may read.
curl --fail --json '{"claims":{"aud":"https://acme.jfrog.io","iss":"https://oidc.example.com/id/1","sub":"system:serviceaccount:regcred-system:jfrog-puller"},"name":"regcred-registry-pull-jfrog","priority":1,"token_spec":{"audience":"jfrt@*","expires_in":21600,"scope":"applied-permissions/groups:READERS"}}' --header 'Authorization: Bearer JFROG-ADMIN-TOKEN' https://acme.jfrog.io/access/api/v1/oidc/cluster/identity_mappings
# The controller asks for tokens with the audience https://acme.jfrog.io: allow
# it among policies.tokenAudiences of the chart.

# hub (static)
# The identity is a Secret, with the keys that docs/providers names, and a
# label.
kubectl label secret hub --namespace=regcred-system regcred.dev/secret=identity
# What regcred/pull -n team-a needs. What stands in capitals is for you to fill
# in.

# gke (artifactRegistry)
# The identity is a ServiceAccount. No pod runs as it.
kubectl create serviceaccount gar-puller --namespace=team-a
# It may read repository gcr.io.
gcloud artifacts repositories add-iam-policy-binding gcr.io --project=GOOGLE-PROJECT --location=us --role=roles/artifactregistry.reader '--member=serviceAccount:my-project.svc.id.goog[team-a/gar-puller]'
