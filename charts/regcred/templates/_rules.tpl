{{/*
The documents of a copied file, as the list "documents".
*/}}
{{- define "regcred.documents" -}}
{{- $documents := list }}
{{- range splitList "\n---\n" (printf "\n%s" .) }}
{{- $document := fromYaml . }}
{{- if $document }}
{{- $documents = append $documents $document }}
{{- end }}
{{- end }}
{{- toYaml (dict "documents" $documents) }}
{{- end }}

{{/*
The controller's rules for a mode, from the generated ones: "rules"; with "namespaced", without what is cluster-scoped; with "names", rules
for Secrets by resourceNames; without "diagnose", without what failed pulls are diagnosed by, and without "evict", without the eviction of
pods. A creation has no name yet when RBAC looks at it: the policy regcred-secrets bounds it.
*/}}
{{- define "regcred.rules" -}}
{{- $rules := list }}
{{- $names := .names }}
{{- $without := list }}
{{- if .namespaced }}
{{- $without = list "namespaces" "clusterregistrycredentials" "clusterregistrycredentials/status" }}
{{- end }}
{{- if not .evict }}
{{- $without = append $without "pods/eviction" }}
{{- end }}
{{- $diagnose := .diagnose }}
{{- range .rules }}
{{- $resources := list }}
{{- /* The events of the core group are read to diagnose; those of events.k8s.io are written. */ -}}
{{- $diagnosis := ternary (list) (list "events" "pods") (or $diagnose (not (has "" .apiGroups))) }}
{{- range .resources }}
{{- if not (has . (concat $without $diagnosis)) }}
{{- $resources = append $resources . }}
{{- end }}
{{- end }}
{{- if and $names (has "secrets" $resources) }}
{{- if ne (len $resources) 1 }}
{{- fail "config/rbac/role.yaml: secrets must have a rule of their own" }}
{{- end }}
{{- $named := without .verbs "create" }}
{{- $rules = append $rules (dict "apiGroups" .apiGroups "resources" $resources "verbs" $named "resourceNames" $names) }}
{{- $rules = append $rules (dict "apiGroups" .apiGroups "resources" $resources "verbs" (list "create")) }}
{{- else if $resources }}
{{- $rules = append $rules (dict "apiGroups" .apiGroups "resources" $resources "verbs" .verbs) }}
{{- end }}
{{- end }}
{{- toYaml $rules }}
{{- end }}

{{/*
Binds the controller: "kind" and "name" of the role, "namespace" of a RoleBinding.
*/}}
{{- define "regcred.binding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ if .namespace }}RoleBinding{{ else }}ClusterRoleBinding{{ end }}
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "regcred.labels" .context | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ if .namespace }}Role{{ else }}ClusterRole{{ end }}
  name: {{ .name }}
subjects:
- kind: ServiceAccount
  name: {{ include "regcred.serviceAccountName" .context }}
  namespace: {{ include "regcred.namespace" .context }}
{{- end }}
