{{- define "morula.storeKeys" -}}
- name: MORULA_S3_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ .Values.store.secretName }}, key: access-key}}
- name: MORULA_S3_SECRET_KEY
  valueFrom: {secretKeyRef: {name: {{ .Values.store.secretName }}, key: secret-key}}
{{- end }}

{{- define "morula.databaseUrl" -}}
- name: MORULA_DATABASE_URL
  valueFrom: {secretKeyRef: {name: {{ .Values.database.secretName }}, key: url}}
{{- end }}

{{- /* More variables of an operator's: one that is set twice would be the chart's or the operator's by chance. */ -}}
{{- define "morula.withExtraEnv" -}}
{{ .set }}
{{- $names := list }}
{{- range fromYamlArray .set }}{{ $names = append $names .name }}{{ end }}
{{- range .values.extraEnv }}
{{- if has .name $names }}
{{- fail (printf "%s.extraEnv: %s is set by the chart; leave it out" $.component .name) }}
{{- end }}
{{- $names = append $names .name }}
{{- end }}
{{- with .values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Variables of every component. */ -}}
{{- define "morula.env" -}}
- {name: HOME, value: /tmp}
- {name: MORULA_STORE_URL, value: {{ include "morula.storeUrl" .root | quote }}}
{{ include "morula.storeKeys" .root }}
- name: MORULA_TOKEN
  valueFrom: {secretKeyRef: {name: {{ .root.Values.tokenSecretName }}, key: token}}
{{- if .root.Values.mtls.enabled }}
- {name: MORULA_TLS_CERT, value: /tls/tls.crt}
- {name: MORULA_TLS_KEY, value: /tls/tls.key}
- {name: MORULA_TLS_CA, value: /tls/ca.crt}
{{- end }}
{{- if include "morula.hasWeights" . }}
- {name: MORULA_WEIGHTS_DIR, value: /weights}
{{- end }}
{{- end }}

{{- /* Variables of a worker. */ -}}
{{- define "morula.workerEnv" -}}
{{- include "morula.env" . }}
{{- if eq .component "labeller" }}
- {name: MORULA_MODULE, value: morula.clusterer.labeller}
{{- end }}
- {name: MORULA_ADDRESS, value: "0.0.0.0:50051"}
- {name: MORULA_METRICS_HOST, value: 0.0.0.0}
- {name: MORULA_METRICS_PORT, value: "9090"}
- {name: MORULA_CACHE_DIR, value: /cache}
- {name: MORULA_THREADS, value: {{ include "morula.threads" . | quote }}}
# Says that it does not serve, waits until callers look away, and finishes what it has.
- {name: MORULA_DRAIN_S, value: "5"}
- {name: MORULA_GRACE_S, value: {{ sub (int .values.terminationGracePeriodSeconds) 20 | quote }}}
# Callers look for new pods when a connection ends.
- {name: MORULA_MAX_CONNECTION_AGE_S, value: {{ .root.Values.maxConnectionAgeSeconds | quote }}}
{{- end }}

{{- /* Variables of API and conductor, which must agree on them. */ -}}
{{- define "morula.gatewayEnv" -}}
{{- $root := .root }}
{{- include "morula.env" . }}
{{ include "morula.databaseUrl" $root }}
{{- if eq .component "api" }}
- name: MORULA_FIRST_KEY
  valueFrom: {secretKeyRef: {name: {{ $root.Values.apiKeys.secretName }}, key: first-key}}
{{- end }}
- {name: MORULA_HOST, value: 0.0.0.0}
- {name: MORULA_PORT, value: "8610"}
- {name: MORULA_GRACE_S, value: {{ sub (int .values.terminationGracePeriodSeconds) 20 | quote }}}
- {name: MORULA_ALLOWED_HOSTS, value: {{ include "morula.hosts" $root | squote }}}
{{- if or $root.Values.ingress.enabled $root.Values.gatewayApi.enabled }}
# TLS ends before the API, at pods whose addresses nobody knows beforehand.
- {name: MORULA_FORWARDED_ALLOW_IPS, value: "*"}
{{- end }}
{{- range $component := (include "morula.workers" $root | fromYaml).workers }}
- {name: MORULA_{{ upper $component }}_ADDRESS, value: "dns:///{{ include "morula.name" (dict "root" $root "component" $component) }}:50051"}
{{- end }}
- {name: MORULA_GPU_SERVICES, value: {{ include "morula.gpuWorkers" $root | squote }}}
{{- if include "morula.kedaWorkers" $root | fromJsonArray }}
# An upload or a picture waits for a pod that must start first.
- {name: MORULA_AWAY_PATIENCE_S, value: "600"}
{{- end }}
- {name: MORULA_NETWORK_THREADS, value: {{ include "morula.networkThreads" $root | quote }}}
- {name: MORULA_NETWORK_DTYPE, value: {{ $root.Values.gateway.networkDtype }}}
- {name: MORULA_PROFILE, value: {{ $root.Values.gateway.profile }}}
- {name: MORULA_JOB_CONCURRENCY, value: {{ $root.Values.gateway.jobConcurrency | quote }}}
- {name: MORULA_SCRATCH, value: /scratch}
- {name: MORULA_CACHE_DIR, value: /scratch/cache}
{{- $clusterer := (include "morula.values" (dict "root" $root "component" "clusterer") | fromYaml).image.name }}
{{- if eq $clusterer "clusterer-paper" }}
- {name: MORULA_CLUSTERER_ALGORITHMS, value: '["umap-dbscan"]'}
{{- else if eq $clusterer "clusterer-cuml" }}
- {name: MORULA_CLUSTERER_ALGORITHMS, value: '["umap-dbscan-cuml"]'}
{{- end }}
{{- if eq .component "conductor" }}
- name: MORULA_EXECUTOR_ID
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- end }}
{{- end }}
