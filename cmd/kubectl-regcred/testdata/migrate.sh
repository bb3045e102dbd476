# found: CronJob team-a/ecr-renew (aws ecr get-login-password)
# found: Deployment audit-b/registry-creds (registry-creds)
# found: Secret audit-a/shared (Reflector)
# note: Secret regcred also logs in to index.docker.io, which no cloud mints
# tokens for: keep that login in a Secret of its own with the label
# regcred.dev/secret=identity, and add an entry static for it before the Secret
# is handed over; an entry that is missing is taken out of the Secret
# note: ClusterRegistryCredential shared uses the controller's own identity:
# give it one (kubectl regcred access prints how), or name a ServiceAccount in
# each entry

# credentials.yaml (--output-dir writes it)
apiVersion: regcred.dev/v1alpha1
kind: RegistryCredential
metadata:
  name: regcred
  namespace: team-a
spec:
  registries:
  - ecr:
      accounts:
      - "123456789012"
      - "210987654321"
      region: eu-west-1
    identity:
      serviceAccountRef:
        name: ecr-renewer
    name: ecr-eu-west-1
  serviceAccounts:
    names:
    - default
---
apiVersion: regcred.dev/v1alpha1
kind: ClusterRegistryCredential
metadata:
  name: shared
spec:
  namespaceSelector:
    matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: In
      values:
      - audit-a
      - audit-b
  registries:
  - acr:
      registry: acme.azurecr.io
    name: acr-acme
  - ecr:
      accounts:
      - "111111111111"
      fips: true
      region: us-gov-west-1
    name: ecr-fips-us-gov-west-1
  - artifactRegistry:
      hosts:
      - europe-west1-docker.pkg.dev
      - gcr.io
    name: google
  serviceAccounts:
    names:
    - builder
    - default

#!/bin/sh
set -e
# 1. What the credentials need in their clouds. Do it first: nothing has changed
# yet.
kubectl regcred access -f credentials.yaml
# 2. team-a/ecr-renew goes on: a Secret of its namespace cannot be handed over
# yet. Once it can be, stop it first:
# kubectl patch cronjob ecr-renew --namespace=team-a '--patch={"spec":{"suspend":true}}'
# 3. Stop audit-b/registry-creds while the tokens that it has written live.
kubectl scale deployment registry-creds --namespace=audit-b --replicas=0
# 4. Stop Reflector for the Secrets below, as its documentation says, and let it
# leave them: take its annotations and owner references off them.
# 5. Hand the Secrets over. This is the owner's consent, and writes nothing into
# them.
# team-a/regcred holds a login that no credential here brings: add its entry
# first, and then run
# kubectl annotate secret regcred --namespace=team-a regcred.dev/adopt=true --overwrite
kubectl annotate secret shared --namespace=audit-a regcred.dev/adopt=true --overwrite
kubectl annotate secret shared --namespace=audit-b regcred.dev/adopt=true --overwrite
# 6. Create the credentials. They rewrite the Secrets in place, so that no image
# is pulled again because of it.
kubectl apply -f credentials.yaml
# 7. Wait. If it does not come to an end, the way back is: delete the
# credentials, which gives the Secrets back, and let the old tool go on.
# kubectl regcred status regcred/regcred --wait=ready --namespace=team-a
kubectl regcred status cregcred/shared --wait=ready
