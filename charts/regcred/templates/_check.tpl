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
{{- range $monitor := list "podMonitor" "podMonitoring" }}
{{- $values := get $.Values.metrics $monitor }}
{{- if and $values.enabled $.Values.metrics.enabled $.Values.metrics.secure (not $values.tokenSecret) }}
{{- fail (printf "metrics.%s.enabled needs metrics.%s.tokenSecret, the token of somebody who may get /metrics, or metrics.secure=false: it cannot name the scraper's own token" $monitor $monitor) }}
{{- end }}
{{- end }}
{{- if and .Values.metrics.certManager.enabled .Values.metrics.certificateSecret }}
{{- fail "metrics.certManager.enabled and metrics.certificateSecret both name a certificate: choose one" }}
{{- end }}
{{- range .Values.credentials }}
{{- if and $.Values.secretNames (not (has (default .name .spec.secretName) $.Values.secretNames)) }}
{{- fail (printf "credentials: %s is not among secretNames, and so could not be served: add it there" (default .name .spec.secretName)) }}
{{- end }}
{{- end }}
{{- end }}
