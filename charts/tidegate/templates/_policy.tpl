{{/* The chart's own ControlPolicy, or nothing where there is none. */}}
{{- define "tidegate.policy" -}}
{{- $values := .Values.policy -}}
{{- $policy := dict -}}
{{- if $values.spec -}}
{{- $policy = dict "apiVersion" "tidegate.dev/v1alpha1" "kind" "ControlPolicy" "spec" (deepCopy $values.spec) -}}
{{- else if ne $values.preset "none" -}}
{{- $policy = .Files.Get (printf "policies/%s.yaml" $values.preset) | fromYaml -}}
{{- else if or $values.mode $values.controls $values.namespaces -}}
{{- fail "policy.preset is none and there is no policy.spec: policy.mode, policy.controls and policy.namespaces have nothing to change" -}}
{{- end -}}
{{- if $policy -}}
{{- $_ := set $policy "metadata" (dict "name" "default") -}}
{{- $spec := $policy.spec -}}
{{- $controls := $spec.controls | default dict -}}
{{- if $values.mode -}}
{{- $_ := set $spec "mode" $values.mode -}}
{{- range $id, $control := $controls -}}
{{- $_ := set $controls $id (set ($control | default dict) "mode" $values.mode) -}}
{{- end -}}
{{- end -}}
{{- range $id, $mode := $values.controls -}}
{{- $_ := set $controls $id (set (get $controls $id | default dict) "mode" $mode) -}}
{{- end -}}
{{- $_ := set $spec "controls" $controls -}}
{{- include "tidegate.policyOverrides" (list $spec $values.namespaces) -}}
{{- toYaml $policy -}}
{{- end -}}
{{- end -}}

{{/* Appends the modes of namespaces to a spec's overrides: (list spec namespaces). The last override that
matches wins, so globs come first, shorter ones before longer ones, then names. */}}
{{- define "tidegate.policyOverrides" -}}
{{- $spec := index . 0 -}}
{{- $namespaces := index . 1 -}}
{{- $globs := list -}}
{{- $names := list -}}
{{- range $name, $_ := $namespaces -}}
{{- if regexMatch "[^-a-z0-9]" $name -}}{{- $globs = append $globs (printf "%05d %s" (len $name) $name) -}}
{{- else -}}{{- $names = append $names (printf "%05d %s" (len $name) $name) -}}{{- end -}}
{{- end -}}
{{- $overrides := $spec.overrides | default list -}}
{{- range concat (sortAlpha $globs) (sortAlpha $names) -}}
{{- $name := substr 6 -1 . -}}
{{- $controls := dict -}}
{{- range $id, $_ := $spec.controls -}}
{{- $_ := set $controls $id (dict "mode" (get $namespaces $name)) -}}
{{- end -}}
{{- $overrides = append $overrides (dict "namespaces" (dict "include" (list $name)) "controls" $controls) -}}
{{- end -}}
{{- if $overrides -}}{{- $_ := set $spec "overrides" $overrides -}}{{- end -}}
{{- end -}}
