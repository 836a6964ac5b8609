# shellcheck shell=bash
# Takes a cluster away, whatever state it is in: running, half started, crashed. Sourced.

# Processes of the pods are known by their cgroup, all else by its mark.
pod_pids() {
  find /sys/fs/cgroup -path '*/kubepods*' -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u
}

kill_all() {
  local tries pids
  for ((tries = 0; tries < 100; tries++)); do
    # Components first: kubelet would start again what is killed under it.
    mapfile -t pids < <(marked_pids)
    ((${#pids[@]})) && kill -KILL "${pids[@]}" 2>/dev/null
    mapfile -t -O "${#pids[@]}" pids < <(pod_pids)
    ((${#pids[@]})) || return 0
    kill -KILL "${pids[@]}" 2>/dev/null || true
    sleep 0.1
  done
  say "still there after KILL: ${pids[*]}"
}

mounts_below() {
  awk -v a="$1/" -v s="$1" 'index($5, a) == 1 || (s == $5) {print $5}' /proc/self/mountinfo | sort -r
}

unmount_all() {
  local path below
  for below in "$RT" "$CLUSTER_DIR"; do
    while read -r path; do
      # mountinfo writes spaces as \040
      umount -l "$(printf '%b' "$path")" 2>/dev/null || true
    done < <(mounts_below "$below")
  done
}

remove_cgroups() {
  local tries left=()
  for ((tries = 0; tries < 50; tries++)); do
    mapfile -t left < <(find /sys/fs/cgroup -depth -type d -path '*/kubepods*' 2>/dev/null)
    ((${#left[@]})) || return 0
    rmdir "${left[@]}" 2>/dev/null || true
    sleep 0.05
  done
}

# Files that containerd, its shims, CNI and kubelet keep outside our folder, at fixed places.
remove_strays() {
  local file target
  for file in "$RT"/run/containerd/io.containerd.runtime.v2.task/k8s.io/*/address; do
    [[ -e $file ]] || continue
    target="$(<"$file")"
    [[ $target == unix:///run/containerd/s/* ]] && rm -f "${target#unix://}"
  done
  rm -f "$CNI_CACHE/$CNI_NAME"-*
  for file in /var/log/containers/*.log; do
    [[ -L $file && $(readlink "$file") == "$RT"/* ]] && rm -f "$file"
  done
  rm -f /var/lib/kubelet/device-plugins/{kubelet.sock,DEPRECATION}
  rmdir /var/lib/kubelet/{device-plugins,} 2>/dev/null || true
  rmdir /var/log/containers /run/containerd/s /run/containerd "$CNI_CACHE" "${CNI_CACHE%/*}" 2>/dev/null || true
}

clean_all() {
  kill_all
  remove_strays
  unmount_all
  network_down
  remove_cgroups
  rm -rf --one-file-system "$CLUSTER_DIR"
  [[ $RT == "$CLUSTER_DIR" ]] || rmdir "$RT" 2>/dev/null || true
  rm -f "${CLUSTER_DIR%/*}/kubeconfig"
  [[ "$(cat "$OWNER_FILE" 2>/dev/null)" != "$CLUSTER_DIR" ]] || rm -f "$OWNER_FILE"
}
