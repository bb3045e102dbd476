{{- define "regcred.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of the release, and of the chart unless it is part of that. Names of objects end with what they are for: 40 leaves room. */}}
{{- define "regcred.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "regcred.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "regcred.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Names of cluster-scoped objects hold the namespace too, so that two releases do not meet, unless it is the usual one. */}}
{{- define "regcred.clusterName" -}}
{{- if eq .Release.Namespace "regcred-system" }}
{{- include "regcred.fullname" . }}
{{- else }}
{{- printf "%s-%s" (include "regcred.fullname" .) .Release.Namespace }}
{{- end }}
{{- end }}

{{- define "regcred.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "regcred.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name: it is needed if serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "regcred.selector" -}}
app.kubernetes.io/name: {{ include "regcred.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "regcred.labels" -}}
{{ include "regcred.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "regcred.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* Pod Security restricted, of the pod and of its container. */}}
{{- define "regcred.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "regcred.securityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
{{- end }}

{{/* Values that are good by themselves and not together. */}}
{{- define "regcred.check" -}}
{{- if and .Values.allowAmbientIdentity (not .Values.policies.enabled) }}
{{- fail "allowAmbientIdentity needs policies.enabled: without the policy everybody who may create a RegistryCredential could use the controller's identity" }}
{{- end }}
{{- if and .Values.watchNamespaces .Values.credentials }}
{{- fail "credentials are ClusterRegistryCredentials, which an install with watchNamespaces does not serve: create RegistryCredentials in these namespaces" }}
{{- end }}
{{- if and .Values.watchNamespaces .Values.metrics.enabled .Values.metrics.secure }}
{{- fail "metrics.secure needs a ClusterRole to review tokens, which an install with watchNamespaces must not have: set metrics.secure=false (networkPolicy guards the port) or metrics.enabled=false" }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled (not (and .Values.metrics.enabled .Values.metrics.service.enabled)) }}
{{- fail "metrics.serviceMonitor.enabled needs metrics.enabled and metrics.service.enabled: use metrics.podMonitor where there is no Service" }}
{{- end }}
{{- if and .Values.metrics.podMonitor.enabled .Values.metrics.enabled .Values.metrics.secure (not .Values.metrics.podMonitor.tokenSecret) }}
{{- fail "metrics.podMonitor.enabled needs metrics.podMonitor.tokenSecret, the token of somebody who may get /metrics, or metrics.secure=false: a PodMonitor cannot name Prometheus' own token" }}
{{- end }}
{{- range .Values.credentials }}
{{- $secret := default .name .spec.secretName }}
{{- if and $.Values.secretNames (not (has $secret $.Values.secretNames)) }}
{{- fail (printf "credentials: %s is not among secretNames, and so could not be served: add it there" $secret) }}
{{- end }}
{{- end }}
{{- end }}
