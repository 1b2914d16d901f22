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

{{- define "morula.name" -}}
{{ .root.Release.Name }}-{{ .component }}
{{- end }}

{{- /* Name and labels of an object of a component. */ -}}
{{- define "morula.metadata" -}}
name: {{ include "morula.name" . }}
labels: {{- include "morula.labels" . | nindent 2 }}
{{- end }}

{{- define "morula.workers" -}}
workers: [tiler, segmenter, embedder, clusterer, labeller, evaluator]
{{- end }}

{{- /* Values of a component: `defaults` with its own on top. */ -}}
{{- define "morula.values" -}}
{{- $values := mergeOverwrite (deepCopy .root.Values.defaults) (deepCopy (index .root.Values .component)) }}
{{- if and (has .component (list "api" "conductor" "labeller")) (eq $values.autoscaling.mode "keda") }}
{{- fail (printf "%s.autoscaling.mode: people wait for the %s, so it never goes to zero; only none or hpa" .component .component) }}
{{- end }}
{{- if and (eq .component "conductor") (ne $values.autoscaling.mode "none") }}
{{- fail "conductor.autoscaling.mode: a conductor keeps its jobs under its name; set conductor.replicas" }}
{{- end }}
{{- if and (ne $values.autoscaling.mode "none") (gt (int $values.autoscaling.min) (int $values.autoscaling.max)) }}
{{- fail (printf "%s.autoscaling.min: %v is more than autoscaling.max, %v" .component $values.autoscaling.min $values.autoscaling.max) }}
{{- end }}
{{- $program := get (dict "api" "gateway" "conductor" "gateway" "labeller" "clusterer") .component | default .component }}
{{- if ne $program (regexReplaceAll "-(torch|paper|cuml)$" $values.image.name "") }}
{{- fail (printf "%s.image.name: %q does not run it; name %s or another image of it" .component $values.image.name $program) }}
{{- end }}
{{- if and (gt (int $values.gpu.count) 0) (not (regexMatch "-(torch|cuml)$" $values.image.name)) }}
{{- fail (printf "%s.gpu.count: %s-%s would leave the GPU idle; set %s.image.name to an image that computes on one (-torch, -cuml)" .component .root.Values.image.repository $values.image.name .component) }}
{{- end }}
{{- toYaml $values }}
{{- end }}

{{- define "morula.image" -}}
{{- $image := .values.image }}
{{- $name := printf "%s-%s" .root.Values.image.repository $image.name }}
{{- if $image.digest }}{{ $name }}@{{ $image.digest }}{{ else }}{{ $name }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* Threads that a CPU limit allows, as the services themselves count them: rounded up. */ -}}
{{- define "morula.threads" -}}
{{- $cpu := toString .values.resources.limits.cpu }}
{{- if hasSuffix "m" $cpu }}{{ ceil (divf (trimSuffix "m" $cpu) 1000) | int }}{{ else }}{{ ceil $cpu | int }}{{ end }}
{{- end }}

{{- /* Cells and vectors of networks are kept under this number: the gateway and both services must mean the same. */ -}}
{{- define "morula.networkThreads" -}}
{{- $threads := dict }}
{{- range $component := list "segmenter" "embedder" }}
{{- $values := include "morula.values" (dict "root" $ "component" $component) | fromYaml }}
{{- $_ := set $threads $component (include "morula.threads" (dict "values" $values)) }}
{{- end }}
{{- if ne $threads.segmenter $threads.embedder }}
{{- fail (printf "resources.limits.cpu of segmenter (%s threads) and embedder (%s) must be the same: results are kept under that number" $threads.segmenter $threads.embedder) }}
{{- end }}
{{- $threads.segmenter }}
{{- end }}

{{- /* Workers whose pods ask for a GPU, and those that KEDA scales: names in JSON. */ -}}
{{- define "morula.gpuWorkers" -}}
{{- $found := list }}
{{- range $component := (include "morula.workers" . | fromYaml).workers }}
{{- $values := include "morula.values" (dict "root" $ "component" $component) | fromYaml }}
{{- if gt (int $values.gpu.count) 0 }}{{ $found = append $found $component }}{{ end }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{- define "morula.kedaWorkers" -}}
{{- $found := list }}
{{- range $component := (include "morula.workers" . | fromYaml).workers }}
{{- $values := include "morula.values" (dict "root" $ "component" $component) | fromYaml }}
{{- if eq $values.autoscaling.mode "keda" }}{{ $found = append $found $component }}{{ end }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{- /* Names under which the API may be asked for. */ -}}
{{- define "morula.hosts" -}}
{{- $service := include "morula.name" (dict "root" . "component" "api") }}
{{- $inside := list $service (printf "%s.%s" $service .Release.Namespace) (printf "%s.%s.svc" $service .Release.Namespace) }}
{{- $hosts := concat (list "127.0.0.1" "localhost" "[::1]") $inside .Values.gateway.hosts }}
{{- if .Values.ingress.enabled }}{{ $hosts = concat $hosts .Values.ingress.hosts }}{{ end }}
{{- if .Values.gatewayApi.enabled }}{{ $hosts = concat $hosts .Values.gatewayApi.hostnames }}{{ end }}
{{- uniq $hosts | toJson }}
{{- end }}

{{- /* Of the URL of an S3, the port. */ -}}
{{- define "morula.storePort" -}}
{{- $endpoint := regexFind "endpoint=[^&]+" . | trimPrefix "endpoint=" | urlParse }}
{{- $port := regexFind ":[0-9]+$" $endpoint.host | trimPrefix ":" }}
{{- $port | default (ternary "443" "80" (eq $endpoint.scheme "https")) }}
{{- end }}

{{- define "morula.storeUrl" -}}
{{- if .Values.dev.enabled }}s3://morula?endpoint=http://{{ include "morula.name" (dict "root" . "component" "dev-s3") }}:8333
{{- else }}{{ required "store.url: which bucket? s3://BUCKET?endpoint=https://HOST" .Values.store.url }}{{ end }}
{{- end }}
