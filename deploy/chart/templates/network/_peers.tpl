{{- /* Pods of the release's components. */ -}}
{{- define "morula.pods" -}}
matchLabels: {app.kubernetes.io/name: morula, app.kubernetes.io/instance: {{ .root.Release.Name }}}
matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: {{ toJson .components }}}
{{- end }}

{{- /* Rules to a port of the named peers, of anybody where there are none. */ -}}
{{- define "morula.toPeers" -}}
- ports: [{port: {{ .port }}}]
{{- with .peers }}
  to: {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}

{{- define "morula.egressToDatabase" -}}
{{- if .Values.dev.enabled }}
- ports: [{port: 5432}]
  to:
    - podSelector: {{- include "morula.pods" (dict "root" . "components" (list "dev-postgres")) | nindent 8 }}
{{- else }}
{{- include "morula.toPeers" .Values.networkPolicy.database }}
{{- end }}
{{- end }}

{{- define "morula.egressToStore" -}}
{{- if .Values.dev.enabled }}
- ports: [{port: 8333}]
  to:
    - podSelector: {{- include "morula.pods" (dict "root" . "components" (list "dev-s3")) | nindent 8 }}
{{- else }}
{{- $peers := .Values.networkPolicy.store.peers }}
{{- include "morula.toPeers" (dict "peers" $peers "port" (include "morula.storePort" .Values.store.url)) }}
{{- end }}
{{- if eq .Values.weights.source "s3" }}
{{ include "morula.toPeers" (dict "peers" .Values.networkPolicy.store.peers "port" (include "morula.storePort" .Values.weights.s3)) }}
{{- end }}
{{- end }}

{{- define "morula.fromMonitoring" -}}
- ports: [{port: {{ .port }}}]
  from: {{- toYaml .root.Values.networkPolicy.monitoring | nindent 4 }}
{{- end }}
