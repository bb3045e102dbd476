# The CronJob of the tutorials, as careful as one of them is: it stops at the first error, and replaces the Secret in place.
# kubectl and aws are on the PATH, as they are in its image.
set -eu
TOKEN="$(aws ecr get-login-password --region "$AWS_REGION")"
kubectl create secret docker-registry "$SECRET" --docker-server="https://$REGISTRY" --docker-username=AWS --docker-password="$TOKEN" \
  --dry-run=client -o yaml | kubectl apply -f -
kubectl patch serviceaccount default -p "{\"imagePullSecrets\":[{\"name\":\"$SECRET\"}]}"
