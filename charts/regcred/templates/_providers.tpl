{{/* What the administrator decides about providers, as flags. */}}
{{- define "regcred.providers.args" -}}
{{- with .Values.acr.hostSuffixes }}
- --acr-host-suffixes={{ join "," . }}
{{- end }}
{{- $clouds := list }}
{{- range .Values.acr.clouds }}
{{- $clouds = append $clouds (printf "%s=%s,%s,%s" .suffix .authority .audience .resource) }}
{{- end }}
{{- with $clouds }}
- {{ printf "--azure-clouds=%s" (join ";" .) | quote }}
{{- end }}
{{- $universes := list }}
{{- range $domain, $suffix := .Values.artifactRegistry.universes }}
{{- $universes = append $universes (printf "%s=%s" $domain $suffix) }}
{{- end }}
{{- with $universes }}
- --google-universes={{ join "," . }}
{{- end }}
{{- $audiences := list }}
{{- range $url, $names := .Values.artifactory.audiences }}
{{- range $names }}
{{- $audiences = append $audiences (printf "%s=%s" $url .) }}
{{- end }}
{{- end }}
{{- with $audiences }}
- {{ printf "--artifactory-audiences=%s" (join "," .) | quote }}
{{- end }}
{{- with .Values.artifactory.awsPlatforms }}
- --artifactory-aws-platforms={{ join "," . }}
{{- end }}
{{- $realms := list }}
{{- range $registry, $hosts := .Values.registryRealms }}
{{- range $hosts }}
{{- $realms = append $realms (printf "%s=%s" $registry .) }}
{{- end }}
{{- end }}
{{- with $realms }}
- --registry-realms={{ join "," . }}
{{- end }}
{{- end }}
