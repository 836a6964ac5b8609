# shellcheck shell=bash
# The bridge that pods hang on, and the removal of all rules of a cluster. Sourced.

network_up() {
  local file
  if ! ip link show "$BRIDGE" >/dev/null 2>&1; then
    ip link add "$BRIDGE" type bridge
  fi
  ip address replace "$NODE_IP/${POD_CIDR#*/}" dev "$BRIDGE"
  ip link set "$BRIDGE" up
  echo 1 >/proc/sys/net/ipv4/ip_forward
  # Answers between two pods must pass iptables, or a service address is not translated back.
  file=/proc/sys/net/bridge/bridge-nf-call-iptables
  [[ -e $file ]] || modprobe br_netfilter 2>/dev/null || true
  [[ ! -e $file ]] || echo 1 >"$file"
  # Each container takes a few inotify instances; the default of 128 ends at 40 pods.
  file=/proc/sys/fs/inotify/max_user_instances
  (($(cat "$file") >= 1024)) || echo 1024 >"$file"
}

network_down() {
  local link
  for link in $(ip -o link show master "$BRIDGE" 2>/dev/null | awk -F'[ @:]+' '{print $2}'); do
    ip link delete "$link" 2>/dev/null || true
  done
  ip link delete "$BRIDGE" 2>/dev/null || true
  rules_down iptables
  rules_down ip6tables
}

# Takes away every chain and rule of kube-proxy and CNI in one step per table.
rules_down() {
  local saved
  command -v "$1-save" >/dev/null || return 0
  saved="$("$1-save" 2>/dev/null)" || return 0
  grep -qE 'KUBE-|CNI-' <<<"$saved" || return 0
  grep -vE 'KUBE-|CNI-' <<<"$saved" | "$1-restore" -w 10
}
