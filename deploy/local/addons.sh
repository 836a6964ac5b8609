# shellcheck shell=bash
# The images and objects that make a node with an API server a usable cluster. Sourced.

# The two images of the cluster itself: one static program each on nothing.
build_system_image() {
  local temp="$1"
  python3 "$OCTO_REPO/deploy/local/image.py" "$SYSTEM_IMAGE" "$(readlink -f "$SYSTEM_PROGRAM")" "$temp/image.tar"
}

system_image() {
  export SYSTEM_IMAGE="$1" SYSTEM_PROGRAM="$2"
  local name="${2##*/}"
  cached "image-$name" "$(content_key "$(readlink -f "$2")" "$OCTO_REPO/deploy/local/image.py" "=$1")" build_system_image
}

import_system_images() {
  local images image program archive
  images="$(ctr_local images list -q)"
  for image in "$PAUSE_IMAGE=pause" "$COREDNS_IMAGE=coredns"; do
    program="${image#*=}"
    image="${image%%=*}"
    grep -qxF "$image" <<<"$images" && continue
    archive="$(system_image "$image" "$OCTO_BIN/$program")" || return 1
    ctr_local images import "$archive/image.tar" >/dev/null || return 1
  done
}

apply_base() {
  local manifest
  manifest="$(<"$OCTO_REPO/deploy/local/manifests/base.yaml")"
  manifest="${manifest//\$\{COREDNS_IMAGE\}/$COREDNS_IMAGE}"
  manifest="${manifest//\$\{DNS_IP\}/$DNS_IP}"
  kubectl_local apply --server-side --force-conflicts -f - <<<"$manifest" >/dev/null
}

await_node() {
  local tries
  for ((tries = 0; tries < 240; tries++)); do
    [[ $(kubectl_local get node "$NODE" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null) == True ]] && return
    sleep 0.25
  done
  die "the node is not Ready after a minute, see $RT/logs/kubelet.log"
}

dns_ready() {
  python3 "$OCTO_REPO/deploy/local/resolves.py" "$DNS_IP" kubernetes.default.svc.cluster.local "$SERVICE_IP"
}

await_dns() {
  local tries
  for ((tries = 0; tries < 240; tries++)); do
    dns_ready && return
    sleep 0.25
  done
  kubectl_local -n kube-system get pods,events >&2 || true
  die "the cluster's DNS is not ready after a minute"
}
