{{/* The flags of `tidegate serve`. */}}
{{- define "tidegate.arguments" -}}
{{- $name := include "tidegate.fullname" . -}}
{{- $namespace := .Release.Namespace -}}
{{- $host := ternary (printf "[%s]" .Values.listenAddress) .Values.listenAddress (contains ":" .Values.listenAddress) -}}
- serve
- {{ printf "--listen=%s:%d" $host (int .Values.ports.webhook) | quote }}
- {{ printf "--ops-listen=%s:%d" $host (int .Values.ports.ops) | quote }}
- --tls-secret={{ $namespace }}/{{ include "tidegate.tlsSecret" . }}
- --tls-mode={{ get (dict "own" "own" "secret" "given" "certManager" "injected") .Values.tls.mode }}
- --dns-name={{ $name }}.{{ $namespace }}.svc
- --webhook={{ $name }}
- --installed=/etc/tidegate/installed/webhook.yaml
- --lease={{ $namespace }}/{{ $name }}
{{- if include "tidegate.policy" . }}
- --policy=/etc/tidegate/policy/policy.yaml
{{- else }}
- --preset=none
{{- end }}
{{- if .Values.auditOnly }}
- --audit-only
{{- end }}
{{- with .Values.clientAuth }}
{{- if ne .mode "off" }}
- --client-auth={{ .mode }}
- --client-ca=/etc/tidegate/client-ca/ca.crt
{{- range .names }}
- {{ printf "--client-names=%s" . | quote }}
{{- end }}
{{- end }}
{{- end }}
- --drain-delay={{ int .Values.drain.delaySeconds }}s
- --drain-timeout={{ int .Values.drain.timeoutSeconds }}s
- --max-body={{ .Values.limits.maxBody }}
- --max-inflight-bytes={{ .Values.limits.maxInflightBytes }}
- --max-connections={{ int .Values.limits.maxConnections }}
- --log-format={{ .Values.log.format }}
- {{ printf "--log-level=%s" .Values.log.level | quote }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}
