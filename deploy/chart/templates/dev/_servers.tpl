{{- define "morula.devPod" -}}
automountServiceAccountToken: false
serviceAccountName: {{ .Release.Name }}
enableServiceLinks: false
securityContext: {{- include "morula.podSecurity" (dict "runAsUser" 999 "runAsGroup" 999 "fsGroup" 999) | nindent 2 }}
{{- if eq .Values.dev.volume "emptyDir" }}
volumes:
  - {name: data, emptyDir: {}}
  - {name: tmp, emptyDir: {}}
{{- else }}
volumes:
  - {name: tmp, emptyDir: {}}
{{- end }}
{{- end }}

{{- define "morula.devClaim" -}}
{{- if eq .Values.dev.volume "claim" }}
volumeClaimTemplates:
  - metadata: {name: data}
    spec:
      accessModes: [ReadWriteOnce]
      resources: {requests: {storage: {{ .Values.dev.size }}}}
{{- end }}
{{- end }}
