{{/* What every pod of the chart has in common. */}}
{{- define "regcred.pod.common" -}}
{{- $secrets := list }}
{{- range concat .Values.global.imagePullSecrets .Values.imagePullSecrets }}
{{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) }}
{{- end }}
{{- with $secrets | uniq }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .Values.hostNetwork }}
hostNetwork: true
{{- end }}
{{- with .Values.dnsPolicy | default (ternary "ClusterFirstWithHostNet" "" .Values.hostNetwork) }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What every container of our image has in common. */}}
{{- define "regcred.container.common" -}}
image: {{ include "regcred.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
{{- with .Values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A pod's spec, "pod" as text, with what values.podSpec puts over it. */}}
{{- define "regcred.pod.spec" -}}
{{- $spec := .pod | fromYaml }}
{{- if hasKey $spec "Error" }}
{{- fail (printf "the pod's spec cannot be parsed: %s" $spec.Error) }}
{{- end }}
{{- mergeOverwrite $spec (deepCopy .context.Values.podSpec) | toYaml }}
{{- end }}

{{/*
Labels of a pod: "component" is for those that are not the controller, which no selector of the controller's may take for one; values cannot
change what selectors rest on.
*/}}
{{- define "regcred.pod.labels" -}}
{{- $component := dict }}
{{- with .component }}
{{- $component = dict "app.kubernetes.io/component" . }}
{{- end }}
{{- merge $component (include "regcred.labels" .context | fromYaml) .context.Values.podLabels | toYaml }}
{{- end }}

{{/* Nine tenths of the memory limit, in bytes; empty without a limit. The rest is for what Go does not count, such as the executable. */}}
{{- define "regcred.goMemLimit" -}}
{{- $limit := dig "limits" "memory" "" .Values.resources }}
{{- $text := kindIs "float64" $limit | ternary (printf "%.0f" (float64 $limit)) (toString $limit) }}
{{- $number := regexFind "^[0-9]+([.][0-9]+)?" $text }}
{{- $units := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 }}
{{- $unit := trimPrefix $number $text }}
{{- if and $number (hasKey $units $unit) }}
{{- mulf $number (get $units $unit) 0.9 | floor | int64 }}
{{- end }}
{{- end }}
