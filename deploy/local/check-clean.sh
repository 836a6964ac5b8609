#!/usr/bin/env bash
# Exits 1 and lists whatever a local cluster (of any clone) has left on this machine.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
# shellcheck source=deploy/lib.sh
. "$here/../lib.sh"
# shellcheck source=deploy/local/env.sh
. "$here/env.sh"

found=0
# report WHAT, with the leftovers as lines of standard input.
report() {
  local line
  while IFS= read -r line; do
    [[ -n $line ]] || continue
    printf '%s: %s\n' "$1" "$line"
    found=1
  done
}

processes() {
  local file pid
  grep -lzE '^OCTO_CLUSTER_DIR=' /proc/[0-9]*/environ 2>/dev/null | while IFS=/ read -r _ _ pid file; do
    [[ $file == environ ]] && printf '%s %s\n' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c1-120)"
  done || true
}

rules() {
  local tool
  for tool in iptables ip6tables; do
    command -v "$tool-save" >/dev/null || continue
    "$tool-save" 2>/dev/null | grep -E "KUBE-|CNI-|$BRIDGE" | sed "s/^/$tool /" || true
  done
}

report process < <(processes)
report mount < <(awk '{print $5}' /proc/self/mountinfo | grep -E "/\.octo/cluster(/|$)|^/run/octo-" || true)
report device < <(ip -o link show 2>/dev/null | awk -F': ' '{print $2}' | grep -E "^($BRIDGE|kube-ipvs0)|^veth.*master $BRIDGE" || true)
report netns < <(find /run/netns -name 'cni-*' 2>/dev/null || true)
report cgroup < <(find /sys/fs/cgroup -type d -path '*/kubepods*' 2>/dev/null || true)
report rule < <(rules)
report file < <(find "$CLUSTER_DIR" "$OWNER_FILE" "$OCTO_STATE/kubeconfig" -maxdepth 0 2>/dev/null || true)
report file < <(find /run -maxdepth 1 -name 'octo-????????' -type d 2>/dev/null || true)
report file < <(find "$CNI_CACHE" -name "$CNI_NAME-*" 2>/dev/null || true)
report file < <(find /var/log/containers -lname '*/.octo/*' 2>/dev/null || true)
if ((found == 0)); then
  echo "clean"
fi
exit "$found"
