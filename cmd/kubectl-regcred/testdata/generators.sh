# found: ExternalSecret audit-a/google (External Secrets, by ClusterGenerator
# google)
# found: ExternalSecret audit-b/google (External Secrets, by ClusterGenerator
# google)
# found: ExternalSecret team-a/ecr (External Secrets, by ECRAuthorizationToken
# team-a/ecr)
# found: ExternalSecret team-a/ecr-of-argocd (External Secrets, by
# ECRAuthorizationToken team-a/ecr)
# found: ExternalSecret team-b/azure (External Secrets, by ACRAccessToken
# team-b/azure)
# found: PushSecret team-b/pushed (External Secrets, by ECRAuthorizationToken
# team-b/pushed)
# found: ACRAccessToken team-b/azure (External Secrets)
# found: ClusterGenerator google (External Secrets)
# found: ECRAuthorizationToken team-a/ecr (External Secrets)
# found: ECRAuthorizationToken team-b/public (External Secrets)
# found: ECRAuthorizationToken team-b/pushed (External Secrets)
# note: ExternalSecret team-a/ecr-of-argocd writes no Secret to pull with:
# nothing here replaces it
# note: ExternalSecret team-b/azure names GCRAccessToken gone, which was not
# found
# note: PushSecret team-b/pushed writes the token of ECRAuthorizationToken
# team-b/pushed into a store outside of this cluster's Secrets: nothing here
# replaces it
# note: nothing that was read uses ECRAuthorizationToken team-b/public
# note: no ServiceAccount names Secret azure: its credential links none, and
# pods go on naming it themselves
# note: ACRAccessToken team-b/azure reads Secret principal: the credential reads
# it in namespace team-b, with the label regcred.dev/secret=identity and the key
# AZURE_CLIENT_ID (now id of Secret principal) and the key AZURE_CLIENT_SECRET
# (now secret of Secret principal)
# note: no ServiceAccount names Secret google: its credential links none, and
# pods go on naming it themselves
# note: ClusterGenerator google asks as ServiceAccount gar-puller: the
# credential needs one of that name, with its annotations, in the controller's
# namespace, and the cloud must trust that
# note: no ServiceAccount names Secret pull-ecr: its credential links none, and
# pods go on naming it themselves

# credentials.yaml (--output-dir writes it)
apiVersion: regcred.dev/v1alpha1
kind: RegistryCredential
metadata:
  name: azure
  namespace: team-b
spec:
  registries:
  - acr:
      registry: acme.azurecr.io
      repositories:
      - team/app
      tenantID: 72f988bf-86f1-41af-91ab-2d7cd011db47
    identity:
      secretRef:
        name: principal
    name: acr-acme
---
apiVersion: regcred.dev/v1alpha1
kind: ClusterRegistryCredential
metadata:
  name: google
spec:
  namespaceSelector:
    matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: In
      values:
      - audit-a
      - audit-b
  registries:
  - artifactRegistry:
      gkeCluster: projects/my-project/locations/europe-west1/clusters/prod
      hosts:
      - europe-west1-docker.pkg.dev
    identity:
      serviceAccountRef:
        name: gar-puller
    name: google
---
apiVersion: regcred.dev/v1alpha1
kind: RegistryCredential
metadata:
  name: pull-ecr
  namespace: team-a
spec:
  registries:
  - ecr:
      accounts:
      - "123456789012"
      region: eu-west-1
      roleARN: arn:aws:iam::123456789012:role/pull
    identity:
      serviceAccountRef:
        name: ecr-puller
    name: ecr-eu-west-1

#!/bin/sh
set -e
# 1. What the credentials need in their clouds. Do it first: nothing has changed
# yet.
kubectl regcred access -f credentials.yaml
# 2. Delete ClusterExternalSecret google. What it has made stays.
kubectl delete clusterexternalsecret google --cascade=orphan
# 3. Delete ExternalSecret audit-a/google while its token lives, in Git, too, if
# it is there. The Secret stays.
kubectl patch externalsecret google --namespace=audit-a --type=merge '--patch={"spec":{"target":{"creationPolicy":"Orphan","deletionPolicy":"Retain"}}}'
kubectl delete externalsecret google --namespace=audit-a --cascade=orphan
# 4. Delete ExternalSecret audit-b/google while its token lives, in Git, too, if
# it is there. The Secret stays.
kubectl patch externalsecret google --namespace=audit-b --type=merge '--patch={"spec":{"target":{"creationPolicy":"Orphan","deletionPolicy":"Retain"}}}'
kubectl delete externalsecret google --namespace=audit-b --cascade=orphan
# 5. Delete ExternalSecret team-a/ecr while its token lives, in Git, too, if it
# is there. The Secret stays.
kubectl patch externalsecret ecr --namespace=team-a --type=merge '--patch={"spec":{"target":{"creationPolicy":"Orphan","deletionPolicy":"Retain"}}}'
kubectl delete externalsecret ecr --namespace=team-a --cascade=orphan
# 6. Delete ExternalSecret team-b/azure while its token lives, in Git, too, if
# it is there. The Secret stays.
kubectl patch externalsecret azure --namespace=team-b --type=merge '--patch={"spec":{"target":{"creationPolicy":"Orphan","deletionPolicy":"Retain"}}}'
kubectl delete externalsecret azure --namespace=team-b --cascade=orphan
# 7. Hand the Secrets over. This is the owner's consent, and writes nothing into
# them.
kubectl annotate secret azure --namespace=team-b regcred.dev/adopt=true --overwrite
kubectl annotate secret google --namespace=audit-a regcred.dev/adopt=true --overwrite
kubectl annotate secret google --namespace=audit-b regcred.dev/adopt=true --overwrite
kubectl annotate secret pull-ecr --namespace=team-a regcred.dev/adopt=true --overwrite
# 8. Create the credentials. They rewrite the Secrets in place, so that no image
# is pulled again because of it.
kubectl apply -f credentials.yaml
# 9. Wait. If it does not come to an end, the way back is: delete the
# credentials, which gives the Secrets back, and let the old tool go on.
kubectl regcred status regcred/azure --wait=ready --namespace=team-b
kubectl regcred status cregcred/google --wait=ready
kubectl regcred status regcred/pull-ecr --wait=ready --namespace=team-a
# 10. Once all are ready, delete the generators that nothing else uses.
# kubectl delete acraccesstoken azure --namespace=team-b
# kubectl delete clustergenerator google
# kubectl delete ecrauthorizationtoken ecr --namespace=team-a
# kubectl delete ecrauthorizationtoken public --namespace=team-b
# kubectl delete ecrauthorizationtoken pushed --namespace=team-b
