#!/usr/bin/env bash
# The cluster in a Docker engine. Called by deploy/cluster.sh and deploy/images.sh.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
# shellcheck source=deploy/lib.sh
. "$here/../lib.sh"

NAME="${OCTO_KIND_NAME:-octo}"
# kind writes to this file, never to the user's own kubeconfig.
unset KUBECONFIG

need_kind() {
  command -v kind >/dev/null || die "a Docker engine answers, but there is no 'kind' on the PATH: install it," \
    "or name a cluster of yours by OCTO_KUBECONFIG"
}

exists() { kind get clusters 2>/dev/null | grep -qxF "$NAME"; }

case "${1:-}" in
  up)
    need_kind
    mkdir -p "$OCTO_STATE"
    if exists; then
      kind export kubeconfig --name "$NAME" --kubeconfig "$OCTO_STATE/kubeconfig"
    else
      kind create cluster --name "$NAME" --config "$here/config.yaml" \
        --kubeconfig "$OCTO_STATE/kubeconfig" --wait 120s
    fi
    ;;
  down)
    need_kind
    ! exists || kind delete cluster --name "$NAME" --kubeconfig "$OCTO_STATE/kubeconfig"
    rm -f "$OCTO_STATE/kubeconfig"
    ;;
  status)
    need_kind
    exists || die "no kind cluster '$NAME'"
    kubectl --kubeconfig "$OCTO_STATE/kubeconfig" get nodes
    ;;
  volumes) ;; # kind's provisioner makes and wipes volumes by itself
  load)
    need_kind
    kind load image-archive --name "$NAME" "$2"
    ;;
  *) die "'${1:-}' does not exist for kind" ;;
esac
