#!/usr/bin/env bash
# Installs and builds what the cluster and the images need; idempotent.
#
#   deploy/tools.sh            everything this machine's way needs
#   deploy/tools.sh NAME...    only these of: packages browser kube coredns versitygw oasdiff promtool kubeconform pause helm bench kwok
#
# Results are cached by content in $XDG_CACHE_HOME/octo and linked into .octo/bin.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
# shellcheck source=deploy/lib.sh
. "$here/lib.sh"
# shellcheck source=deploy/tools/packages.sh
. "$here/tools/packages.sh"
# shellcheck source=deploy/tools/go.sh
. "$here/tools/go.sh"
# shellcheck source=deploy/tools/wheels.sh
. "$here/tools/wheels.sh"

tool_packages() { install_packages; }

# Chromium without a window, for the tests of the console.
tool_browser() { install_browser; }

tool_kube() {
  local dir name
  dir="$(go_built octo-kube build_kube "$here/local/kube" "=$KUBERNETES_VERSION")" || exit 1
  for name in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy; do
    link_bin "$dir/octo-kube" "$name"
  done
}

tool_coredns() {
  local dir
  dir="$(go_built coredns build_coredns "$here/local/dns")" || exit 1
  link_bin "$dir/coredns" coredns
}

tool_versitygw() {
  local dir
  dir="$(go_built versitygw build_versitygw "=$VERSITYGW_VERSION")" || exit 1
  link_bin "$dir/versitygw" versitygw
}

# Tells what would break the clients of the last release.
tool_oasdiff() {
  local dir
  dir="$(go_built oasdiff build_oasdiff "=$OASDIFF_VERSION")" || exit 1
  link_bin "$dir/oasdiff" oasdiff
}

# Plays series to the chart's alerts.
tool_promtool() {
  local dir
  dir="$(go_built promtool build_promtool "=$PROMETHEUS_VERSION")" || exit 1
  link_bin "$dir/promtool" promtool
}

# Holds the chart's manifests to schemas.
tool_kubeconform() {
  local dir
  dir="$(go_built kubeconform build_kubeconform "=$KUBECONFORM_VERSION")" || exit 1
  link_bin "$dir/kubeconform" kubeconform
}

# The servers and peers of `make bench-worker`; no other verb needs rclone.
tool_bench() {
  local dir
  # Where Docker is, its own containerd must not be replaced; the bench says itself that sshd is missing.
  [[ $(cluster_kind) != local ]] || tool_packages
  tool_versitygw
  dir="$(go_built rclone build_rclone "=$RCLONE_VERSION")" || exit 1
  link_bin "$dir/rclone" rclone
}

# The simulated nodes of `make bench-controller`; no other verb needs them.
tool_kwok() {
  local dir
  dir="$(go_built kwok build_kwok "=$KWOK_VERSION")" || exit 1
  link_bin "$dir/kwok" kwok
  link_bin "$dir/stages.yaml" kwok-stages.yaml
}

tool_pause() {
  local dir
  dir="$(go_built pause build_pause "$here/local/pause")" || exit 1
  link_bin "$dir/pause" pause
}

tool_helm() {
  local dir
  dir="$(cached kubectl-helm "$KUBECTL_LAYER_VERSION" unpack_kubectl_layer)" || exit 1
  link_bin "$dir/helm" helm
  link_bin "$dir/kubectl" kubectl
}

link_bin() {
  ln -sfn "$1" "$OCTO_BIN/$2.$$"
  mv -fT "$OCTO_BIN/$2.$$" "$OCTO_BIN/$2"
}

main() {
  local tool jobs=() names=("$@")
  mkdir -p "$OCTO_BIN"
  if ((${#names[@]} == 0)); then
    if [[ $(cluster_kind) == local ]]; then
      # One after the other: one Go build alone keeps all cores busy most of the time,
      # and the small ones reuse what the big one has compiled. What waits on
      # the network or on dpkg goes on beside them.
      (tool_packages && tool_browser && tool_helm && "$here/images.sh" base >/dev/null) &
      jobs+=($!)
      tool_pause
      tool_kube
      tool_coredns
      tool_versitygw
      tool_oasdiff
      tool_promtool
      tool_kubeconform
    else
      tool_helm
      tool_versitygw
      tool_oasdiff
      tool_promtool
      tool_kubeconform
    fi
  fi
  for tool in "${names[@]}"; do
    declare -F "tool_$tool" >/dev/null || die "no tool '$tool'"
    "tool_$tool"
  done
  for tool in "${jobs[@]}"; do
    wait "$tool" || die "a tool could not be installed, see above"
  done
}

main "$@"
