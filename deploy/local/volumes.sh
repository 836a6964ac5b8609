# shellcheck shell=bash
# The static volumes behind the StorageClass "standard". Sourced.

volume_manifest() {
  cat <<YAML
apiVersion: v1
kind: PersistentVolume
metadata:
  name: octo-volume-$1
  labels: {octo.dev/local-cluster: "true"}
spec:
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: standard
  persistentVolumeReclaimPolicy: Retain
  hostPath: {path: $CLUSTER_DIR/volumes/$1, type: Directory}
---
YAML
}

# Makes what is missing, and makes anew what a deleted claim has left behind.
arm_volumes() {
  local name phase number released=() all=""
  while read -r name phase; do
    [[ $phase == Released || $phase == Failed ]] && released+=("$name")
  done < <(kubectl_local get persistentvolumes -l octo.dev/local-cluster=true \
    -o 'jsonpath={range .items[*]}{.metadata.name} {.status.phase}{"\n"}{end}')
  if ((${#released[@]})); then
    kubectl_local delete persistentvolume --wait "${released[@]}" >/dev/null
    for name in "${released[@]}"; do
      rm -rf --one-file-system "$CLUSTER_DIR/volumes/${name##*-}"
    done
    say "volumes wiped: ${released[*]}"
  fi
  for ((number = 0; number < VOLUMES; number++)); do
    mkdir -p "$CLUSTER_DIR/volumes/$number"
    # Any restricted pod's user writes here; hostPath knows no fsGroup.
    chmod 0777 "$CLUSTER_DIR/volumes/$number"
    all+="$(volume_manifest "$number")"$'\n'
  done
  kubectl_local apply --server-side --force-conflicts -f - <<<"$all" >/dev/null
}
