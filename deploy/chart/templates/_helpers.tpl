{{- define "morula.selectorLabels" -}}
app.kubernetes.io/name: morula
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "morula.labels" -}}
{{ include "morula.selectorLabels" . }}
app.kubernetes.io/part-of: morula
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "morula.image" -}}
{{ .root.Values.image.repository }}-{{ .image }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "morula.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "morula.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "morula.commonEnv" -}}
- {name: MORULA_STORE_URL, value: {{ .Values.store.url | quote }}}
- name: MORULA_S3_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ .Values.store.secretName }}, key: access-key}}
- name: MORULA_S3_SECRET_KEY
  valueFrom: {secretKeyRef: {name: {{ .Values.store.secretName }}, key: secret-key}}
- name: MORULA_TOKEN
  valueFrom: {secretKeyRef: {name: {{ .Values.tokenSecretName }}, key: token}}
{{- end }}
