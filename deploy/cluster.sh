#!/usr/bin/env bash
# The one door to a cluster. It is
#   - the user's own, where OCTO_KUBECONFIG or KUBECONFIG names one: used, never changed;
#   - else kind, where a Docker engine answers;
#   - else the project's own single-node cluster (deploy/local).
# In each case .octo/kubeconfig is what kubectl, helm and the tests use.
#
#   deploy/cluster.sh up | down | status | kubeconfig | kind-of
#   deploy/cluster.sh start | stop | restart COMPONENT      (local cluster only)
#   deploy/cluster.sh volumes                               (local: make freed volumes usable again)
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
# shellcheck source=deploy/lib.sh
. "$here/lib.sh"

usage() { sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; }

user_cluster() {
  local config="${OCTO_KUBECONFIG:-${KUBECONFIG:-}}"
  case "$1" in
    up)
      [[ -r $config ]] || die "the kubeconfig $config cannot be read"
      mkdir -p "$OCTO_STATE"
      ln -sfn "$(readlink -f "$config")" "$OCTO_STATE/kubeconfig"
      say "using the cluster of $config as it is"
      ;;
    down)
      # It is not ours to stop; only our link to it goes.
      [[ ! -L $OCTO_STATE/kubeconfig ]] || rm -f "$OCTO_STATE/kubeconfig"
      say "the cluster of $config is yours, left as it is"
      ;;
    status) kubectl --kubeconfig "$config" get nodes ;;
    volumes) ;;
    *) die "'$1' works on the local cluster only" ;;
  esac
}

main() {
  local command="${1:-}"
  case "$command" in
    kubeconfig) printf '%s\n' "$OCTO_STATE/kubeconfig" ;;
    kind-of) cluster_kind ;;
    up | down | status | volumes | start | stop | restart)
      case "$(cluster_kind)" in
        user) user_cluster "$@" ;;
        kind) "$here/kind/kind.sh" "$@" ;;
        local) "$here/local/local.sh" "$@" ;;
      esac
      ;;
    help | -h | --help) usage ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
}

main "$@"
