{{- define "nunatak.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "nunatak.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "nunatak.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "nunatak.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "nunatak.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}

{{- define "nunatak.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "nunatak.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{/* The domain of the nodes: each is POD.DOMAIN. */}}
{{- define "nunatak.nodes" -}}
{{ include "nunatak.fullname" . }}-nodes.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
{{- end -}}

{{/* Some of the nodes. One of them must be right, so that more nodes need no other list. */}}
{{- define "nunatak.join" -}}
{{- $nodes := list -}}
{{- range $number := until (int (min 3 .Values.node.replicas)) -}}
{{- $nodes = append $nodes (printf "%s-node-%d.%s:26257" (include "nunatak.fullname" $) $number (include "nunatak.nodes" $)) -}}
{{- end -}}
{{ join "," $nodes }}
{{- end -}}

{{/* The names that clients know gateways by. */}}
{{- define "nunatak.gatewayHosts" -}}
{{- $service := include "nunatak.fullname" . -}}
{{- $names := list $service (printf "%s.%s" $service .Release.Namespace) (printf "%s.%s.svc" $service .Release.Namespace) -}}
{{- $names = append $names (printf "%s.%s.svc.%s" $service .Release.Namespace .Values.clusterDomain) -}}
{{ concat $names (list "localhost" "127.0.0.1") .Values.tls.gatewayHosts | toJson }}
{{- end -}}

{{- define "nunatak.nodeHosts" -}}
{{ list (printf "*.%s" (include "nunatak.nodes" .)) "localhost" "127.0.0.1" | toJson }}
{{- end -}}

{{/* The Secret of a certificate: (dict "root" $ "for" "node") */}}
{{- define "nunatak.tlsSecret" -}}
{{- if eq .root.Values.tls.source "existing" -}}
{{ required (printf "tls.existing.%s names the Secret" .for) (get .root.Values.tls.existing .for) }}
{{- else -}}
{{ include "nunatak.fullname" .root }}-{{ .for }}-tls
{{- end -}}
{{- end -}}

{{- define "nunatak.tlsVolume" -}}
- name: tls
  secret:
    secretName: {{ include "nunatak.tlsSecret" . }}
    defaultMode: 0440
{{- end -}}

{{- define "nunatak.authSecret" -}}
{{ default (printf "%s-auth" (include "nunatak.fullname" .)) .Values.auth.existingSecret }}
{{- end -}}

{{- define "nunatak.security" -}}
{{- if .Values.tls.enabled }}
- --tls-cert=/etc/nunatak/tls/tls.crt
- --tls-key=/etc/nunatak/tls/tls.key
- --tls-ca=/etc/nunatak/tls/ca.crt
{{- else }}
- --insecure
{{- end }}
{{- end -}}

{{- define "nunatak.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "nunatak.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ ALL ] }
{{- end -}}

{{- define "nunatak.probes" -}}
startupProbe:
  httpGet: { path: /health, port: http }
  periodSeconds: 2
  failureThreshold: 300
livenessProbe:
  httpGet: { path: /health, port: http }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /ready, port: http }
  periodSeconds: 3
  timeoutSeconds: 4
  failureThreshold: 2
{{- end -}}

{{/* Where pods go: (dict "root" $ "of" .Values.node "component" "node") */}}
{{- define "nunatak.placement" -}}
{{- $selector := printf "%s\napp.kubernetes.io/component: %s" (include "nunatak.selector" .root) .component -}}
{{- if ne .of.antiAffinity "none" }}
affinity:
  podAntiAffinity:
    {{- if eq .of.antiAffinity "required" }}
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- $selector | nindent 12 }}
    {{- else }}
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- $selector | nindent 14 }}
    {{- end }}
{{- end }}
{{- with .of.topologyKey }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- $selector | nindent 8 }}
{{- end }}
{{- with .of.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "nunatak.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}
