{{- define "octo.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* A release called "octo" has "octo"; any other has "<release>-octo". */}}
{{- define "octo.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "octo.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "octo.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Both take (list $ "component"). */}}
{{- define "octo.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "octo.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "octo.labels" -}}
{{- $root := index . 0 -}}
{{ include "octo.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* (list $ "api" .Values.api.image) gives the part's own fields over the common ones. */}}
{{- define "octo.image" -}}
{{- $root := index . 0 -}}
{{- $own := index . 2 -}}
{{- $common := $root.Values.image -}}
{{- $repository := $own.repository | default (printf "%s/%s" $common.prefix (index . 1)) -}}
{{- $registry := $own.registry | default $common.registry -}}
{{- $tag := $own.tag | default $common.tag | default $root.Chart.AppVersion -}}
{{- if $registry }}{{ trimSuffix "/" $registry }}/{{ end }}{{ $repository }}{{ with $own.digest }}@{{ . }}{{ else }}:{{ $tag }}{{ end }}
{{- end -}}

{{- define "octo.pullPolicy" -}}
{{- (index . 1).pullPolicy | default (index . 0).Values.image.pullPolicy -}}
{{- end -}}

{{- define "octo.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* The `restricted` profile of Pod Security, and more: a fixed user who owns the mounted files. */}}
{{- define "octo.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "octo.containerSecurity" -}}
runAsNonRoot: true
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "octo.commonEnv" -}}
- name: OCTO_NAMESPACE
  value: {{ .Release.Namespace | quote }}
- name: OCTO_LOG_LEVEL
  value: {{ .Values.logLevel | quote }}
- name: OCTO_SECRETS_DIR
  value: /run/secrets/octo
{{- end -}}

{{/* (list $ "api" .Values.api $selector) prints where a part's pods go, as fields of a pod spec. */}}
{{- define "octo.placement" -}}
{{- $values := index . 2 -}}
{{- $selector := index . 3 -}}
{{- $affinity := deepCopy $values.affinity -}}
{{- if and (ne $values.antiAffinity "None") (not (hasKey $affinity "podAntiAffinity")) -}}
{{/* Not away from those of an old version, or a rollout over all nodes would wait for ever. */}}
{{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" $selector) "matchLabelKeys" (list "pod-template-hash") -}}
{{- if eq $values.antiAffinity "Hard" -}}
{{- $_ := set $affinity "podAntiAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (list $term)) -}}
{{- else -}}
{{- $soft := list (dict "weight" 100 "podAffinityTerm" $term) -}}
{{- $_ := set $affinity "podAntiAffinity" (dict "preferredDuringSchedulingIgnoredDuringExecution" $soft) -}}
{{- end -}}
{{- end -}}
{{- with $affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $values.topologySpread.enabled }}
topologySpreadConstraints:
  {{- range $values.topologySpread.topologyKeys }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: {{ $values.topologySpread.whenUnsatisfiable }}
    # Those of an old version, which are about to go, do not count.
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- toYaml $selector | nindent 8 }}
  {{- end }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* (list $ .Values.api.ingress.tls) prints the annotation by which cert-manager makes a certificate, if it is to. */}}
{{- define "octo.certManager" -}}
{{- with (index . 1).clusterIssuer }}
cert-manager.io/cluster-issuer: {{ . | quote }}
{{- end }}
{{- with (index . 1).issuer }}
cert-manager.io/issuer: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* Names of the Secrets, the chart's own or the user's. */}}
{{- define "octo.databaseSecret" -}}
{{- .Values.database.existingSecret | default (printf "%s-database" (include "octo.fullname" .)) -}}
{{- end -}}

{{- define "octo.authSecret" -}}
{{- .Values.auth.existingSecret | default (printf "%s-auth" (include "octo.fullname" .)) -}}
{{- end -}}

{{- define "octo.bootstrapSecret" -}}
{{- .Values.auth.bootstrapApiKey.existingSecret | default (printf "%s-bootstrap-api-key" (include "octo.fullname" .)) -}}
{{- end -}}

{{/* Where Postgres is has to be said, once. */}}
{{- define "octo.checkDatabase" -}}
{{- $chosen := 0 -}}
{{- if .Values.database.url }}{{ $chosen = add1 $chosen }}{{ end -}}
{{- if .Values.database.existingSecret }}{{ $chosen = add1 $chosen }}{{ end -}}
{{- if .Values.postgres.embedded.enabled }}{{ $chosen = add1 $chosen }}{{ end -}}
{{- if eq (int $chosen) 0 -}}
{{- fail "Octo needs a Postgres: set database.url or database.existingSecret, or postgres.embedded.enabled=true to try Octo out" -}}
{{- else if gt (int $chosen) 1 -}}
{{- fail "Octo needs one Postgres: set only one of database.url, database.existingSecret and postgres.embedded.enabled" -}}
{{- end -}}
{{- end -}}

{{/*
(list $ "secret name" "key") prints what that Secret of an earlier revision holds, or nothing.
Each generated secret asks here first: an upgrade must not change it.
*/}}
{{- define "octo.kept" -}}
{{- $found := lookup "v1" "Secret" (index . 0).Release.Namespace (index . 1) | default dict -}}
{{- index ($found.data | default dict) (index . 2) | default "" | b64dec -}}
{{- end -}}

{{/*
Fills .Values.generated, once per rendering: several templates need the same random value,
and every other call of a random function gives another.
*/}}
{{- define "octo.generate" -}}
{{- if not (hasKey .Values "generated") -}}
{{- include "octo.checkDatabase" . -}}
{{- $name := include "octo.fullname" . -}}
{{- $password := include "octo.kept" (list . (printf "%s-postgres" $name) "password") | default (randAlphaNum 40) -}}
{{- $url := .Values.database.url -}}
{{- if .Values.postgres.embedded.enabled -}}
{{- $url = printf "postgresql://octo:%s@%s-postgres.%s.svc:5432/octo" $password $name .Release.Namespace -}}
{{- end -}}
{{- $pepper := include "octo.kept" (list . (include "octo.authSecret" .) "apiKeyPepper") -}}
{{- $signing := "" -}}
{{- $webhooks := "" -}}
{{- if not .Values.auth.existingSecret -}}
{{/* An installation from before webhooks had a key of their own derived their secrets from the pepper: they stay. */}}
{{- $webhooks = include "octo.kept" (list . (include "octo.authSecret" .) "webhookSigningKey") | default $pepper | default (randBytes 32) -}}
{{- $pepper = $pepper | default (randBytes 32) -}}
{{- $signing = include "octo.kept" (list . (include "octo.authSecret" .) "tokenSigningKey") | default (randBytes 32) -}}
{{- end -}}
{{/* Of 64 random characters at least 12 are of base32's alphabet, but for one time in 10^40. */}}
{{- $id := regexReplaceAll "[^a-z2-7]" (randAlphaNum 64 | lower) "" | trunc 12 -}}
{{- $random := randBytes 32 | replace "+" "-" | replace "/" "_" | trimSuffix "=" -}}
{{- $key := "" -}}
{{- if not .Values.auth.bootstrapApiKey.existingSecret -}}
{{- $key = include "octo.kept" (list . (include "octo.bootstrapSecret" .) "apiKey") | default (printf "octo_%s_%s" $id $random) -}}
{{- end -}}
{{- $_ := set .Values "generated" (dict "password" $password "url" $url "pepper" $pepper "signing" $signing "webhooks" $webhooks "key" $key) -}}
{{- end -}}
{{- end -}}

{{/*
A pod's annotation that changes with the secrets which the chart makes, so that an upgrade that
changes one restarts the pod. Keyed by the pepper: annotations are read by many who may not read
Secrets, and must not help them to guess a password. Without a pepper to read, none.
*/}}
{{- define "octo.secretsAnnotation" -}}
{{- include "octo.generate" . -}}
{{- $made := .Values.generated -}}
{{- if $made.pepper -}}
octo.dev/secrets: {{ printf "%s|%s|%s|%s|%s" $made.pepper $made.signing $made.webhooks $made.key $made.url | sha256sum | trunc 16 | quote }}
{{- end -}}
{{- end -}}

{{/* The Leases of as many controllers as there may be: while their number changes, those that go still need theirs. */}}
{{- define "octo.leases" -}}
{{- range until 16 }}
- {{ printf "%s-controller-%d" (include "octo.fullname" $) . }}
{{- end }}
{{- end -}}

{{/* What the Job of templates/crds.yaml needs, made before it and gone after it. */}}
{{- define "octo.crdHook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded,hook-failed
{{- end -}}

{{/* Parts of NetworkPolicies. */}}
{{- define "octo.ports" -}}
{{- range . }}
- {protocol: TCP, port: {{ . }}}
{{- end }}
{{- end -}}

{{- define "octo.dnsEgress" -}}
- ports:
    {{- range .Values.networkPolicy.dnsPorts }}
    - {protocol: UDP, port: {{ . }}}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- with .Values.networkPolicy.dnsTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "octo.apiServerEgress" -}}
- ports:
    {{- include "octo.ports" .Values.networkPolicy.apiServerPorts | trim | nindent 4 }}
  {{- with .Values.networkPolicy.apiServerTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "octo.databaseEgress" -}}
{{- if .Values.postgres.embedded.enabled -}}
- to:
    - podSelector:
        matchLabels:
          {{- include "octo.selectorLabels" (list . "postgres") | nindent 10 }}
  ports: [{protocol: TCP, port: 5432}]
{{- else -}}
- ports:
    {{- include "octo.ports" .Values.networkPolicy.databasePorts | trim | nindent 4 }}
  {{- with .Values.networkPolicy.databaseTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}
