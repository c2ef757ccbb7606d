{{- define "crossfade.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "crossfade.selector" -}}
app.kubernetes.io/name: crossfade
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "crossfade.labels" -}}
{{ include "crossfade.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "crossfade.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "crossfade.fullname" .) }}
{{- end }}

{{- define "crossfade.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* Whether the controller sets weights of routers: then it asks the API server, under an account of its own. */}}
{{- define "crossfade.routes" -}}
{{- if or .Values.routers.httproutes .Values.routers.virtualservices .Values.routers.inferenceservices }}yes{{ end }}
{{- end }}

{{- define "crossfade.specs" -}}
{{- .Values.existingSpecs | default (printf "%s-specs" (include "crossfade.fullname" .)) }}
{{- end }}

{{/* What every pod is: not root, nothing to write but its folder, no token of the API server. */}}
{{- define "crossfade.pod" -}}
serviceAccountName: {{ include "crossfade.serviceAccount" . }}
automountServiceAccountToken: {{ .token | default false }}
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "crossfade.container" -}}
image: {{ include "crossfade.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
env:
  - {name: CROSSFADE_STORE_FILE, value: /run/secrets/crossfade/store/url}
  {{- if .Values.tokens.existingSecret }}
  - {name: CROSSFADE_TOKENS, value: /run/secrets/crossfade/tokens/tokens.json}
  {{- end }}
  {{- with .Values.lake.region }}
  - {name: AWS_REGION, value: {{ . | quote }}}
  {{- end }}
  {{- with .Values.lake.endpoint }}
  - {name: AWS_ENDPOINT_URL, value: {{ . | quote }}}
  {{- end }}
{{- if or .Values.lake.existingSecret .Values.envFromSecrets }}
envFrom:
  {{- with .Values.lake.existingSecret }}
  - secretRef: {name: {{ . | quote }}}
  {{- end }}
  {{- range .Values.envFromSecrets }}
  - secretRef: {name: {{ . | quote }}}
  {{- end }}
{{- end }}
{{- end }}

{{- define "crossfade.mounts" -}}
- {name: data, mountPath: /var/lib/crossfade}
- {name: tmp, mountPath: /tmp}
- {name: store, mountPath: /run/secrets/crossfade/store, readOnly: true}
{{- if .Values.tokens.existingSecret }}
- {name: tokens, mountPath: /run/secrets/crossfade/tokens, readOnly: true}
{{- end }}
{{- with (index .Values .part).tlsSecret }}
- {name: tls, mountPath: /run/secrets/crossfade/tls, readOnly: true}
{{- end }}
{{- end }}

{{- define "crossfade.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
- name: store
  secret:
    secretName: {{ .Values.store.existingSecret | quote }}
    defaultMode: 0440
    items: [{key: {{ index .Values.store.keys .part | default .Values.store.key | quote }}, path: url}]
{{- if .Values.tokens.existingSecret }}
- name: tokens
  secret:
    secretName: {{ .Values.tokens.existingSecret | quote }}
    defaultMode: 0440
    items: [{key: {{ .Values.tokens.key | quote }}, path: tokens.json}]
{{- end }}
{{- with (index .Values .part).tlsSecret }}
- name: tls
  secret: {secretName: {{ . | quote }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{/* Probes of a part that has a health port: hung is ended, not ready gets no traffic. */}}
{{- define "crossfade.probes" -}}
startupProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 2
  failureThreshold: 60
readinessProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 5
livenessProbe:
  httpGet: {path: /healthz, port: health}
  periodSeconds: 10
  timeoutSeconds: 5
{{- end }}

{{- define "crossfade.spread" -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "crossfade.selector" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .part }}
{{- end }}
