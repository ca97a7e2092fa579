{{- define "labels" -}}
app.kubernetes.io/name: calico
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "selector" -}}
app.kubernetes.io/name: calico
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Environment of every container of calico-node. */ -}}
{{- define "env" -}}
- name: DATASTORE_TYPE
  value: kubernetes
- name: WAIT_FOR_DATASTORE
  value: "true"
- name: NODENAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
- name: CALICO_NETWORKING_BACKEND
  value: vxlan
- name: CLUSTER_TYPE
  value: k8s
- name: IP
  value: autodetect
- name: IP_AUTODETECTION_METHOD
  value: {{ .Values.addressDetection }}
- name: CALICO_IPV4POOL_CIDR
  value: {{ .Values.podCIDR }}
- name: CALICO_IPV4POOL_IPIP
  value: Never
- name: CALICO_IPV4POOL_VXLAN
  value: {{ .Values.vxlanMode }}
- name: CALICO_DISABLE_FILE_LOGGING
  value: "true"
{{- end }}

{{- /* For what needs no more than the apiserver and a file. */ -}}
{{- define "unprivileged" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
