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

{{- define "regcred.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{/* Names of cluster-scoped objects hold the namespace too, so that two releases do not meet, unless it is the usual one. */}}
{{- define "regcred.clusterName" -}}
{{- if eq (include "regcred.namespace" .) "regcred-system" }}
{{- include "regcred.fullname" . }}
{{- else }}
{{- printf "%s-%s" (include "regcred.fullname" .) (include "regcred.namespace" .) }}
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

{{/* The labels of every object. Ours take precedence, since selectors rest on them. */}}
{{- define "regcred.labels" -}}
{{- $own := dict
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") }}
{{- merge (include "regcred.selector" . | fromYaml) $own .Values.commonLabels | toYaml }}
{{- end }}

{{/* Name, namespace and labels of an object: "name" is appended to that of the release; "labels" and "annotations" are further ones. */}}
{{- define "regcred.metadata" -}}
name: {{ include "regcred.fullname" .context }}{{ with .name }}-{{ . }}{{ end }}
namespace: {{ include "regcred.namespace" .context }}
labels:
  {{- merge (include "regcred.labels" .context | fromYaml) (default dict .labels) | toYaml | nindent 2 }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The image: global.imageRegistry replaces the host, which is what Docker takes for one. */}}
{{- define "regcred.image" -}}
{{- $repository := .Values.image.repository }}
{{- with .Values.global.imageRegistry }}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $repository "") }}
{{- end }}
{{- $tag := default .Chart.AppVersion .Values.image.tag }}
{{- with .Values.image.digest }}
{{- $tag = printf "%s@%s" $tag . }}
{{- end }}
{{- printf "%s:%s" $repository $tag }}
{{- end }}
