{{/* What the templates share: names, labels, and the security of a pod. */}}
{{- define "switchboard.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (default .Chart.Name .Values.nameOverride) .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name (default .Chart.Name .Values.nameOverride) | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "switchboard.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "switchboard.labels" -}}
{{ include "switchboard.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: switchboard
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "switchboard.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "switchboard.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{- define "switchboard.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}

{{- define "switchboard.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "switchboard.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* The settings: what is no secret from the ConfigMap, the rest from Secrets. */}}
{{- define "switchboard.environment" -}}
envFrom:
  - configMapRef: {name: {{ include "switchboard.fullname" . }}}
  {{- if .Values.existingSecret }}
  - secretRef: {name: {{ .Values.existingSecret }}}
  {{- end }}
{{- if .Values.redis.existingSecret }}
env:
  - name: REDIS_URL
    valueFrom:
      secretKeyRef: {name: {{ .Values.redis.existingSecret }}, key: {{ .Values.redis.existingSecretKey }}}
{{- end }}
{{- end -}}

{{- define "switchboard.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: state, mountPath: /var/lib/switchboard}
{{- if .Values.agent }}
- {name: agent, mountPath: /etc/switchboard/agent, readOnly: true}
{{- end }}
{{- if .Values.apiKeys.existingSecret }}
- {name: api-keys, mountPath: /etc/switchboard/keys, readOnly: true}
{{- end }}
{{- end -}}

{{- define "switchboard.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
- name: state
  {{- if .Values.persistence.existingClaim }}
  persistentVolumeClaim: {claimName: {{ .Values.persistence.existingClaim }}}
  {{- else }}
  emptyDir: {sizeLimit: 1Gi}
  {{- end }}
{{- if .Values.agent }}
- name: agent
  configMap:
    name: {{ include "switchboard.fullname" . }}-agent
{{- end }}
{{- if .Values.apiKeys.existingSecret }}
- name: api-keys
  secret: {secretName: {{ .Values.apiKeys.existingSecret }}, defaultMode: 0440}
{{- end }}
{{- end -}}
