{{- /* What every pod has in common: where it may run and what it may not do. */ -}}
{{- define "morula.pod" -}}
{{- $values := .values }}
automountServiceAccountToken: false
serviceAccountName: {{ .root.Release.Name }}
# Variables such as MORULA_API_PORT, which links would set, mean something else here.
enableServiceLinks: false
terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- with include "morula.priority" . }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.topologySpreadConstraints }}
topologySpreadConstraints:
{{- range . }}
  - {{- toYaml . | nindent 4 }}
    labelSelector:
      matchLabels: {{- include "morula.selectorLabels" $ | nindent 8 }}
{{- end }}
{{- end }}
securityContext: {{- include "morula.podSecurity" $values.security | nindent 2 }}
{{- end }}

{{- define "morula.priority" -}}
{{- if .values.priorityClassName }}{{ .values.priorityClassName }}
{{- else if .root.Values.priorityClasses.enabled }}
{{- $waitedFor := has .component (list "api" "conductor" "labeller") }}
{{- printf "%s-%s-%s" .root.Release.Namespace .root.Release.Name (ternary "people" "work" $waitedFor) }}
{{- end }}
{{- end }}

{{- define "morula.podSecurity" -}}
runAsNonRoot: true
{{- toYaml . | nindent 0 }}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "morula.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* Image and limits of a container of a component. */ -}}
{{- define "morula.container" -}}
image: {{ include "morula.image" . }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext: {{- include "morula.containerSecurity" . | nindent 2 }}
{{- end }}

{{- define "morula.resources" -}}
{{- $resources := deepCopy .values.resources }}
{{- if gt (int .values.gpu.count) 0 }}
{{- $_ := set $resources.limits .values.gpu.resourceName (int .values.gpu.count) }}
{{- end }}
{{- toYaml $resources }}
{{- end }}

{{- /* Volumes of every component: places to write, the certificate, weights. */ -}}
{{- define "morula.volumes" -}}
{{- $root := .root }}
- {name: tmp, emptyDir: {sizeLimit: {{ .values.storage.tmp }}}}
{{- if $root.Values.mtls.enabled }}
- {name: tls, secret: {secretName: {{ $root.Values.mtls.secretName }}, defaultMode: 0440}}
{{- end }}
{{- if include "morula.hasWeights" . }}
- name: weights
{{- if eq $root.Values.weights.source "volume" }}
  persistentVolumeClaim: {claimName: {{ required "weights.claimName: which volume claim?" $root.Values.weights.claimName }}, readOnly: true}
{{- else if eq $root.Values.weights.source "image" }}
  image: {reference: {{ required "weights.image: which image?" $root.Values.weights.image | quote }}, pullPolicy: {{ $root.Values.image.pullPolicy }}}
{{- else }}
  emptyDir: {}
{{- end }}
{{- end }}
{{- with .values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "morula.volumeMounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if .root.Values.mtls.enabled }}
- {name: tls, mountPath: /tls, readOnly: true}
{{- end }}
{{- if include "morula.hasWeights" . }}
- {name: weights, mountPath: /weights, readOnly: true}
{{- end }}
{{- with .values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Where uploads, exports and objects lie while they are worked on: a volume of each pod's own, gone with it. */ -}}
{{- define "morula.scratch" -}}
{{- with .Values.gateway.scratch }}
- name: scratch
{{- if eq .volume "claim" }}
  ephemeral:
    volumeClaimTemplate:
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .storageClassName }}
        storageClassName: {{ . }}
        {{- end }}
        resources: {requests: {storage: {{ .size }}}}
{{- else }}
  emptyDir: {sizeLimit: {{ .size }}}
{{- end }}
{{- end }}
{{- end }}

{{- /* "true" for those who read weights, or their rows. */ -}}
{{- define "morula.hasWeights" -}}
{{- if and (ne .root.Values.weights.source "none") (has .component (list "api" "conductor" "segmenter" "embedder" "clusterer")) }}true{{ end }}
{{- end }}

{{- /* Copies the weights from the bucket and checks every digest. */ -}}
{{- define "morula.initContainers" -}}
{{- if and (include "morula.hasWeights" .) (eq .root.Values.weights.source "s3") }}
initContainers:
  - name: weights
    {{- include "morula.container" . | nindent 4 }}
    env:
      - {name: MORULA_MODULE, value: morula.common.fetch_weights}
      - {name: HOME, value: /tmp}
      {{- include "morula.storeKeys" .root | nindent 6 }}
      - {name: MORULA_WEIGHTS_SOURCE, value: {{ required "weights.s3: where? s3://BUCKET/PREFIX?endpoint=https://HOST" .root.Values.weights.s3 | quote }}}
      - {name: MORULA_WEIGHTS_DIR, value: /weights}
    resources: {{- omit .values.resources "claims" | toYaml | nindent 6 }}
    volumeMounts:
      - {name: tmp, mountPath: /tmp}
      - {name: weights, mountPath: /weights}
{{- end }}
{{- end }}
