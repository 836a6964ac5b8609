# shellcheck shell=bash
# The TLS files and kubeconfigs of the local cluster: one CA, made anew with each
# fresh cluster. Sourced.

# cert NAME SUBJECT SAN makes NAME.crt and NAME.key, good for both ends of TLS.
cert() {
  local name="$1" subject="$2" san="${3:-}" extensions="$PKI/$1.ext"
  {
    echo "basicConstraints=critical,CA:FALSE"
    echo "keyUsage=critical,digitalSignature"
    echo "extendedKeyUsage=serverAuth,clientAuth"
    [[ -z $san ]] || echo "subjectAltName=$san"
  } >"$extensions"
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "$subject" \
    -keyout "$PKI/$name.key" -out "$PKI/$name.csr" 2>/dev/null
  openssl x509 -req -in "$PKI/$name.csr" -CA "$PKI/ca.crt" -CAkey "$PKI/ca.key" -CAcreateserial \
    -days 365 -extfile "$extensions" -out "$PKI/$name.crt" 2>/dev/null
  rm -f "$PKI/$name.csr" "$extensions"
}

# kubeconfig NAME SERVER FILE writes one with everything embedded.
kubeconfig() {
  local name="$1" server="$2" file="$3"
  cat >"$file.new" <<YAML
apiVersion: v1
kind: Config
clusters:
  - name: octo
    cluster:
      server: $server
      certificate-authority-data: $(base64 -w0 "$PKI/ca.crt")
users:
  - name: $name
    user:
      client-certificate-data: $(base64 -w0 "$PKI/$name.crt")
      client-key-data: $(base64 -w0 "$PKI/$name.key")
contexts:
  - name: octo
    context: {cluster: octo, user: $name}
current-context: octo
YAML
  mv -f "$file.new" "$file"
}

make_certs() {
  [[ -e $PKI/complete ]] && return
  rm -rf "$PKI"
  mkdir -p "$PKI"
  openssl req -x509 -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 \
    -subj "/CN=octo-local-ca" -keyout "$PKI/ca.key" -out "$PKI/ca.crt" 2>/dev/null
  openssl genrsa -out "$PKI/sa.key" 2048 2>/dev/null
  openssl rsa -in "$PKI/sa.key" -pubout -out "$PKI/sa.pub" 2>/dev/null
  local service=kubernetes.default.svc
  cert kube-apiserver /CN=kube-apiserver "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:$service,DNS:$service.cluster.local,IP:127.0.0.1,IP:$SERVICE_IP,IP:$NODE_IP"
  cert etcd /CN=etcd "DNS:localhost,IP:127.0.0.1"
  cert kubelet "/O=system:nodes/CN=system:node:$NODE" "DNS:$NODE,IP:$NODE_IP"
  cert kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
  cert admin /O=system:masters/CN=octo-admin
  cert kube-controller-manager /CN=system:kube-controller-manager
  cert kube-scheduler /CN=system:kube-scheduler
  cert kube-proxy /CN=system:kube-proxy
  local name
  for name in kubelet kube-controller-manager kube-scheduler kube-proxy; do
    kubeconfig "$name" "https://127.0.0.1:$API_PORT" "$PKI/$name.kubeconfig"
  done
  chmod 600 "$PKI"/*
  touch "$PKI/complete"
}
