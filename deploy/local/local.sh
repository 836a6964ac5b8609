#!/usr/bin/env bash
# The project's own single-node cluster: up, down, status, and its parts one by one.
# Called by deploy/cluster.sh, which chooses between this, kind and the user's cluster.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
# shellcheck source=deploy/lib.sh
. "$here/../lib.sh"
for part in env process certs configs components network volumes addons clean; do
  # shellcheck source=/dev/null
  . "$here/$part.sh"
done

need_root() { ((EUID == 0)) || die "the local cluster needs root; without, start a Docker engine and kind is used"; }

lock() {
  mkdir -p "$OCTO_CACHE/locks"
  exec 9>"$OCTO_CACHE/locks/cluster"
  flock -n 9 || {
    say "another command works on the cluster, waiting"
    flock 9
  }
}

# other_owner prints the folder of the cluster that this machine runs for another clone.
other_owner() {
  local owner
  owner="$(cat "$OWNER_FILE" 2>/dev/null || true)"
  [[ -n $owner && $owner != "$CLUSTER_DIR" ]] && printf '%s\n' "$owner"
}

# in_use OWNER: it runs, and its clone is still there.
in_use() {
  (use_cluster "$1" && [[ -n "$(marked_pids)" && -e ${1%/.octo/cluster}/deploy/cluster.sh ]])
}

# One machine has room for one such cluster. What a removed clone left is cleared;
# what another clone still runs is not touched, unless the caller says so.
settle_owner() {
  local owner mine="$CLUSTER_DIR"
  owner="$(other_owner)" || return 0
  if in_use "$owner" && [[ ${CI:-} != true && -z ${OCTO_CLUSTER_TAKEOVER:-} ]]; then
    die "this machine runs the cluster of ${owner%/.octo/cluster}: run 'deploy/cluster.sh down' there," \
      "or set OCTO_CLUSTER_TAKEOVER=1 to end it from here"
  fi
  say "ending the cluster of ${owner%/.octo/cluster}"
  use_cluster "$owner"
  clean_all
  rm -f "$OWNER_FILE"
  use_cluster "$mine"
}

make_folders() {
  mkdir -p "$CLUSTER_DIR"
  if [[ $RT != "$CLUSTER_DIR" ]] && ! mountpoint -q "$RT"; then
    mkdir -p "$RT"
    mount --bind "$CLUSTER_DIR" "$RT"
  fi
  mkdir -p "$RT"/{pids,logs/pods,run,cni/net.d,volumes}
  printf '%s\n' "$CLUSTER_DIR" >"$OWNER_FILE"
  cat /proc/sys/kernel/random/boot_id >"$RT/boot"
}

# What is there can be continued when the pods' network and etcd's data are of this
# boot of the machine; else nothing of it is worth keeping.
resumable() {
  [[ -e $PKI/complete && -d $RT/etcd/member ]] && ip link show "$BRIDGE" >/dev/null 2>&1 &&
    [[ $(cat "$RT/boot" 2>/dev/null) == "$(</proc/sys/kernel/random/boot_id)" ]]
}

all_healthy() {
  local name
  resumable || return 1
  for name in "${COMPONENTS[@]}"; do
    healthy "$name" || return 1
  done
  [[ -s $OCTO_STATE/kubeconfig ]] && dns_ready
}

start_all() {
  local images name jobs=()
  make_folders
  network_up
  make_certs
  [[ -s $OCTO_STATE/kubeconfig ]] || kubeconfig admin "https://127.0.0.1:$API_PORT" "$OCTO_STATE/kubeconfig"
  chmod 600 "$OCTO_STATE/kubeconfig"
  # containerd and the images beside etcd and the API server, which take the longest.
  (ensure containerd 30 && import_system_images) &
  images=$!
  ensure etcd 20 || return 1
  ensure kube-apiserver 90 || return 1
  (apply_base && arm_volumes) &
  jobs+=($!)
  wait "$images" || return 1
  for name in kube-controller-manager kube-scheduler kubelet kube-proxy; do
    ensure "$name" 60 &
    jobs+=($!)
  done
  for name in "${jobs[@]}"; do
    wait "$name" || return 1
  done
  await_node
  await_dns
}

up() {
  local started=$SECONDS rc=1
  need_root
  lock
  settle_owner
  if all_healthy; then
    arm_volumes
    say "cluster is up"
    return
  fi
  "$OCTO_REPO/deploy/tools.sh" packages pause helm kube coredns 9>&-
  if resumable; then
    say "continuing the cluster that is there"
    # Not in an 'if': that would switch errexit off in all that start_all calls.
    set +e
    (set -e && start_all)
    rc=$?
    set -e
    ((rc == 0)) || say "that does not work: starting over"
  fi
  if ((rc != 0)); then
    clean_all
    say "starting a fresh cluster"
    start_all
  fi
  say "cluster is up ($((SECONDS - started)) s)"
}

down() {
  local owner
  need_root
  lock
  if owner="$(other_owner)" && in_use "$owner"; then
    # Bridge, rules and cgroups have the same names: they are that clone's now.
    say "no cluster of this clone runs; ${owner%/.octo/cluster} has one"
    rm -rf --one-file-system "$CLUSTER_DIR"
    return
  fi
  [[ -z $owner ]] || settle_owner
  clean_all
  say "cluster is down"
}

status() {
  local name rc=0 pid
  for name in "${COMPONENTS[@]}"; do
    if healthy "$name"; then
      pid="$(pid_of "$name")"
      printf '%-24s healthy  pid %s\n' "$name" "$pid"
    else
      printf '%-24s down\n' "$name"
      rc=1
    fi
  done
  return "$rc"
}

component() {
  local name
  for name in "${COMPONENTS[@]}"; do
    [[ $name == "${1:-}" ]] && return
  done
  die "no component '${1:-}', there are: ${COMPONENTS[*]}"
}

main() {
  local command="${1:-}" name="${2:-}"
  case "$command" in
    up | down | status) "$command" ;;
    volumes) arm_volumes ;;
    stop)
      component "$name"
      terminate "$name"
      ;;
    start | restart)
      component "$name"
      [[ $command == start ]] || terminate "$name"
      ensure "$name" 60
      ;;
    *) die "usage: local.sh up|down|status|volumes|start COMPONENT|stop COMPONENT|restart COMPONENT" ;;
  esac
}

main "$@"
