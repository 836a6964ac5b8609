# shellcheck shell=bash
# The command line of each component. Sourced; run_X starts X and does not wait.

run_etcd() {
  local url="https://127.0.0.1:$ETCD_PORT" peer="http://127.0.0.1:$((ETCD_PORT + 1))"
  # No fsync: a laptop's cluster may lose its data with the machine's power, and
  # survives the death of any process without it (the page cache stays).
  launch etcd "$OCTO_BIN/etcd" --name octo --data-dir "$RT/etcd" --unsafe-no-fsync \
    --listen-client-urls "$url" --advertise-client-urls "$url" \
    --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "octo=$peer" \
    --listen-metrics-urls "http://127.0.0.1:$((ETCD_PORT + 2))" \
    --client-cert-auth --trusted-ca-file "$PKI/ca.crt" --cert-file "$PKI/etcd.crt" --key-file "$PKI/etcd.key" \
    --quota-backend-bytes 4294967296 --log-level warn
}

run_containerd() {
  write_containerd_config
  launch containerd containerd --config "$RT/containerd.toml"
}

run_kube_apiserver() {
  local issuer=https://kubernetes.default.svc.cluster.local
  launch kube-apiserver "$OCTO_BIN/kube-apiserver" \
    --etcd-servers "https://127.0.0.1:$ETCD_PORT" --etcd-cafile "$PKI/ca.crt" \
    --etcd-certfile "$PKI/etcd.crt" --etcd-keyfile "$PKI/etcd.key" \
    --advertise-address "$NODE_IP" --secure-port "$API_PORT" --endpoint-reconciler-type master-count \
    --tls-cert-file "$PKI/kube-apiserver.crt" --tls-private-key-file "$PKI/kube-apiserver.key" \
    --client-ca-file "$PKI/ca.crt" --cert-dir "$RT/apiserver" \
    --kubelet-client-certificate "$PKI/kubelet-client.crt" --kubelet-client-key "$PKI/kubelet-client.key" \
    --kubelet-certificate-authority "$PKI/ca.crt" --kubelet-preferred-address-types InternalIP \
    --service-account-issuer "$issuer" --api-audiences "$issuer" \
    --service-account-key-file "$PKI/sa.pub" --service-account-signing-key-file "$PKI/sa.key" \
    --service-cluster-ip-range "$SERVICE_CIDR" --authorization-mode Node,RBAC \
    --enable-admission-plugins NodeRestriction,PodSecurity --allow-privileged=true \
    --shutdown-delay-duration 0s
}

# The client limits of the two below are raised: their defaults are for a cluster that
# shares its API server, and would be what a bench on this one measures.
run_kube_controller_manager() {
  local config="$PKI/kube-controller-manager.kubeconfig"
  launch kube-controller-manager "$OCTO_BIN/kube-controller-manager" --bind-address 127.0.0.1 \
    --kubeconfig "$config" --authentication-kubeconfig "$config" --authorization-kubeconfig "$config" \
    --cert-dir "$RT/controller-manager" --root-ca-file "$PKI/ca.crt" \
    --service-account-private-key-file "$PKI/sa.key" --use-service-account-credentials \
    --cluster-signing-cert-file "$PKI/ca.crt" --cluster-signing-key-file "$PKI/ca.key" \
    --leader-elect=false --kube-api-qps 500 --kube-api-burst 1000 --concurrent-job-syncs 20
}

run_kube_scheduler() {
  local config="$PKI/kube-scheduler.kubeconfig"
  launch kube-scheduler "$OCTO_BIN/kube-scheduler" --bind-address 127.0.0.1 --cert-dir "$RT/scheduler" \
    --kubeconfig "$config" --authentication-kubeconfig "$config" --authorization-kubeconfig "$config" \
    --leader-elect=false --kube-api-qps 500 --kube-api-burst 1000
}

run_kubelet() {
  write_kubelet_config
  launch kubelet "$OCTO_BIN/kubelet" --config "$RT/kubelet.yaml" --kubeconfig "$PKI/kubelet.kubeconfig" \
    --root-dir "$RT/kubelet" --cert-dir "$PKI" --hostname-override "$NODE" --node-ip "$NODE_IP"
}

run_kube_proxy() {
  write_proxy_config
  launch kube-proxy "$OCTO_BIN/kube-proxy" --config "$RT/kube-proxy.yaml" --hostname-override "$NODE"
}
