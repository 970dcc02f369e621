{{/* The ValidatingWebhookConfiguration. Without caBundle: that key has one owner, which is tidegate or
cert-manager, and must never be in what Helm or a GitOps tool applies. */}}
{{- define "tidegate.webhookConfiguration" -}}
{{- $ignore := or .Values.auditOnly (eq .Values.failurePolicy "Ignore") -}}
{{- $timeouts := .Values.webhook.timeoutSeconds -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata:
  name: {{ include "tidegate.fullname" . }}
  labels:
    {{- include "tidegate.labels" . | nindent 4 }}
  annotations:
    # AKS would rewrite the namespaceSelectors.
    admissions.enforcer/disabled: "true"
    {{- if eq .Values.tls.mode "certManager" }}
    cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/{{ include "tidegate.fullname" . }}
    {{- end }}
webhooks:
- name: validate.tidegate.dev
  {{- include "tidegate.webhookClient" (list . "/validate") | nindent 2 }}
  failurePolicy: {{ ternary "Ignore" "Fail" $ignore }}
  timeoutSeconds: {{ ternary $timeouts.auditOnly $timeouts.local .Values.auditOnly | int }}
  {{- include "tidegate.namespaceSelector" . | nindent 2 }}
  matchConditions:
  {{- include "tidegate.garbageCollector" . | nindent 2 }}
  {{- include "tidegate.namespaceController" . | nindent 2 }}
  rules:
  {{- include "tidegate.workloadRules" . | nindent 2 }}
  - apiGroups: [""]
    apiVersions: [v1]
    operations: [CREATE, UPDATE]
    resources: [namespaces]
    scope: Cluster
  # Labels of a Namespace can be changed through these as well.
  - apiGroups: [""]
    apiVersions: [v1]
    operations: [UPDATE]
    resources: [namespaces/status, namespaces/finalize]
    scope: Cluster
- name: images.tidegate.dev
  {{- include "tidegate.webhookClient" (list . "/validate/images") | nindent 2 }}
  failurePolicy: {{ ternary "Ignore" "Fail" $ignore }}
  timeoutSeconds: {{ ternary $timeouts.auditOnly $timeouts.images .Values.auditOnly | int }}
  {{- include "tidegate.namespaceSelector" . | nindent 2 }}
  matchConditions:
  {{- include "tidegate.garbageCollector" . | nindent 2 }}
  rules:
  {{- include "tidegate.workloadRules" . | nindent 2 }}
- name: policies.tidegate.dev
  {{- include "tidegate.webhookClient" (list . "/validate/policies") | nindent 2 }}
  # In audit-only too: it holds for tidegate's own objects alone, so nothing else waits for it.
  failurePolicy: Fail
  timeoutSeconds: {{ int $timeouts.policies }}
  matchConditions:
  # What tidegate writes into the status of its objects must not wait for tidegate.
  - name: not-own-status
    expression: >-
      !(request.userInfo.username == "system:serviceaccount:{{ .Release.Namespace }}:{{ include "tidegate.fullname" . }}"
      && has(request.subResource) && request.subResource == "status")
  rules:
  - apiGroups: [tidegate.dev]
    apiVersions: [v1alpha1]
    operations: [CREATE, UPDATE]
    resources: [controlpolicies, controlpolicies/status]
    scope: Cluster
  - apiGroups: [tidegate.dev]
    apiVersions: [v1alpha1]
    operations: [CREATE, UPDATE]
    resources: [controlexceptions, controlexceptions/status]
    scope: Namespaced
{{- end -}}

{{/* What every entry has in common: (list . path). */}}
{{- define "tidegate.webhookClient" -}}
{{- $root := index . 0 -}}
admissionReviewVersions: [v1]
clientConfig:
  service:
    namespace: {{ $root.Release.Namespace }}
    name: {{ include "tidegate.fullname" $root }}
    path: {{ index . 1 }}
    port: 443
matchPolicy: Equivalent
sideEffects: None
{{- end -}}

{{/* By the one label that the API server sets itself, so that nobody can label a namespace out. */}}
{{- define "tidegate.namespaceSelector" -}}
namespaceSelector:
  matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: NotIn
    values:
    {{- range append .Values.excludedNamespaces .Release.Namespace | uniq }}
    - {{ . }}
    {{- end }}
{{- end -}}

{{/* Everything with a pod's spec in it. pods/status, pods/binding and pods/eviction cannot change it;
leases, nodes and events are nothing a control looks at. */}}
{{- define "tidegate.workloadRules" -}}
- apiGroups: [""]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [pods, replicationcontrollers, podtemplates]
  scope: Namespaced
- apiGroups: [""]
  apiVersions: [v1]
  operations: [UPDATE]
  resources: [pods/ephemeralcontainers, pods/resize]
  scope: Namespaced
- apiGroups: [apps]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [deployments, replicasets, daemonsets, statefulsets]
  scope: Namespaced
- apiGroups: [batch]
  apiVersions: [v1]
  operations: [CREATE, UPDATE]
  resources: [jobs, cronjobs]
  scope: Namespaced
{{- end -}}

{{/* Takes owners and finalizers off objects and writes nothing else; deletion must not wait for tidegate. */}}
{{- define "tidegate.garbageCollector" -}}
- name: not-garbage-collector
  expression: >-
    request.userInfo.username != "system:serviceaccount:kube-system:generic-garbage-collector"
{{- end -}}

{{/* Ends a Namespace through status and finalize and changes no label there. It has the second name where
the controller manager gives its controllers no identities of their own. */}}
{{- define "tidegate.namespaceController" -}}
- name: not-namespace-controller
  expression: >-
    !(request.resource.resource == "namespaces"
    && request.userInfo.username in ["system:serviceaccount:kube-system:namespace-controller", "system:kube-controller-manager"]
    && has(request.subResource) && request.subResource in ["status", "finalize"])
{{- end -}}
