{{/* The name of everything: the release's where it says tidegate, else with -tidegate. Cut so that the
names of Services made from it stay within 63 characters. */}}
{{- define "tidegate.fullname" -}}
{{- $name := .Release.Name -}}
{{- if not (contains "tidegate" $name) -}}{{- $name = printf "%s-tidegate" (trunc 50 $name | trimSuffix "-") -}}{{- end -}}
{{- trunc 59 $name | trimSuffix "-" -}}
{{- end -}}

{{/* What selects the pods; never anything that changes with a version. */}}
{{- define "tidegate.selectorLabels" -}}
app.kubernetes.io/name: tidegate
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tidegate.labels" -}}
{{ include "tidegate.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: admission-webhook
app.kubernetes.io/part-of: tidegate
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* metadata of a namespaced object: (list . name). */}}
{{- define "tidegate.metadata" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "tidegate.labels" $root | nindent 2 }}
{{- end -}}

{{- define "tidegate.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* The Secret with the serving certificate. */}}
{{- define "tidegate.tlsSecret" -}}
{{- if eq .Values.tls.mode "secret" -}}{{ .Values.tls.secretName }}{{- else -}}{{ include "tidegate.fullname" . }}-tls{{- end -}}
{{- end -}}

{{/* The fewest pods there are. */}}
{{- define "tidegate.leastReplicas" -}}
{{- if .Values.autoscaling.enabled -}}{{ int .Values.autoscaling.minReplicas }}{{- else -}}{{ int .Values.replicas }}{{- end -}}
{{- end -}}

{{/* A size such as 64MiB in KiB. */}}
{{- define "tidegate.kibibytes" -}}
{{- $number := regexFind "^[0-9]+" . | int64 -}}
{{- if hasSuffix "GiB" . -}}{{ mul $number 1048576 }}
{{- else if hasSuffix "MiB" . -}}{{ mul $number 1024 }}
{{- else -}}{{ $number }}{{- end -}}
{{- end -}}

{{/* Requests and limits, with the memory limit that the byte budget asks for. */}}
{{- define "tidegate.resources" -}}
{{- $resources := deepCopy .Values.resources -}}
{{- $limits := $resources.limits | default dict -}}
{{- if not (hasKey $limits "memory") -}}
{{- $budget := include "tidegate.kibibytes" .Values.limits.maxInflightBytes | int64 -}}
{{- $limits = set $limits "memory" (printf "%dMi" (add 64 (div (add (mul 2 $budget) 1023) 1024))) -}}
{{- end -}}
{{- toYaml (set $resources "limits" $limits) -}}
{{- end -}}

{{/* What cannot be checked by the schema, as it needs two values at once. */}}
{{- define "tidegate.validate" -}}
{{- with .Values -}}
{{- if has $.Release.Namespace (list "kube-system" "kube-public" "kube-node-lease") -}}
{{- fail (printf "tidegate cannot be installed into %s: its pods would not be restricted there. Install it into a namespace of its own, such as tidegate." $.Release.Namespace) -}}
{{- end -}}
{{- $least := include "tidegate.leastReplicas" $ | int -}}
{{- if and (lt $least 2) (not .auditOnly) (eq .failurePolicy "Fail") -}}
{{- fail "with failurePolicy Fail a single replica stops every write while it restarts: set replicas (or autoscaling.minReplicas) to 2 or more, or failurePolicy to Ignore" -}}
{{- end -}}
{{- if and .autoscaling.enabled (lt (int .autoscaling.maxReplicas) $least) -}}
{{- fail "autoscaling.maxReplicas is below autoscaling.minReplicas" -}}
{{- end -}}
{{- if and (eq .tls.mode "secret") (not .tls.secretName) -}}
{{- fail "tls.mode is secret: name the Secret in tls.secretName" -}}
{{- end -}}
{{- if and (ne .tls.mode "secret") .tls.secretName -}}
{{- fail (printf "tls.secretName is given but tls.mode is %s: set tls.mode to secret, or leave the name out" .tls.mode) -}}
{{- end -}}
{{- if and (ne .clientAuth.mode "off") (not .clientAuth.caConfigMap) -}}
{{- fail (printf "clientAuth.mode is %s: name the ConfigMap with the CAs in clientAuth.caConfigMap" .clientAuth.mode) -}}
{{- end -}}
{{- if ge (int .drain.delaySeconds) (int .drain.timeoutSeconds) -}}
{{- fail "drain.timeoutSeconds includes drain.delaySeconds and must be greater" -}}
{{- end -}}
{{- if eq (int .ports.webhook) (int .ports.ops) -}}
{{- fail "ports.webhook and ports.ops are the same" -}}
{{- end -}}
{{- if gt (include "tidegate.kibibytes" .limits.maxBody | int64) (include "tidegate.kibibytes" .limits.maxInflightBytes | int64) -}}
{{- fail "limits.maxInflightBytes is below limits.maxBody: no large request would ever be read" -}}
{{- end -}}
{{- range $name, $_ := .policy.namespaces -}}
{{- if has $name (append $.Values.excludedNamespaces $.Release.Namespace) -}}
{{- fail (printf "policy.namespaces.%s has no effect: the namespace is never judged (excludedNamespaces, and the release's own)" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
