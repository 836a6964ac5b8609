# shellcheck shell=bash
# Starting and stopping the components: one pid file and one log each. Sourced.

pid_file() { printf '%s\n' "$RT/pids/$1"; }

# A pid counts only while the process carries our mark: pids are used again.
marked() { grep -qzxF -- "$MARK" "/proc/$1/environ" 2>/dev/null; }

# pid_of COMPONENT prints its pid if it runs.
pid_of() {
  local pid
  pid="$(cat "$(pid_file "$1")" 2>/dev/null)" && [[ -n $pid ]] && marked "$pid" &&
    [[ "$(cut -d' ' -f3 "/proc/$pid/stat" 2>/dev/null)" != Z ]] && printf '%s\n' "$pid"
}

# launch COMPONENT COMMAND... in a session of its own, so that it outlives the
# script and gets none of the terminal's signals. The child writes its own pid
# before exec: there is no moment at which it runs without a pid file.
launch() {
  local name="$1"
  shift
  # The descriptors closed are the locks of ours that it must not inherit.
  # shellcheck disable=SC2016
  (
    ulimit -n 1048576 2>/dev/null || ulimit -n "$(ulimit -Hn)"
    exec env -u KUBECONFIG "$MARK" setsid bash -c \
      'echo $$ >"$1.new" && mv -f "$1.new" "$1" && shift && exec "$@"' _ "$(pid_file "$name")" "$@"
  ) >>"$RT/logs/$name.log" 2>&1 </dev/null 7>&- 8>&- 9>&- &
}

# terminate COMPONENT: TERM first, KILL after 5 seconds.
terminate() {
  local pid tries
  if pid="$(pid_of "$1")"; then
    kill -TERM "$pid" 2>/dev/null || true
    for ((tries = 0; tries < 50; tries++)); do
      pid_of "$1" >/dev/null || break
      ((tries == 49)) && kill -KILL "$pid" 2>/dev/null
      sleep 0.1
    done
  fi
  rm -f "$(pid_file "$1")"
}

# healthy COMPONENT asks the component itself.
healthy() {
  local get=(curl -fsk -o /dev/null --max-time 2 --noproxy '*')
  pid_of "$1" >/dev/null || return 1
  case "$1" in
    etcd) "${get[@]}" "http://127.0.0.1:$((ETCD_PORT + 2))/health" ;;
    containerd) timeout 3 ctr --address "$CONTAINERD_SOCKET" version >/dev/null 2>&1 ;;
    kube-apiserver) "${get[@]}" "https://127.0.0.1:$API_PORT/readyz" ;;
    kube-controller-manager) "${get[@]}" https://127.0.0.1:10257/healthz ;;
    kube-scheduler) "${get[@]}" https://127.0.0.1:10259/healthz ;;
    kubelet) "${get[@]}" http://127.0.0.1:10248/healthz ;;
    kube-proxy) "${get[@]}" http://127.0.0.1:10256/livez ;;
  esac
}

# await COMPONENT SECONDS
await() {
  local name="$1" deadline=$((SECONDS + $2)) seen=0
  until healthy "$name"; do
    if pid_of "$name" >/dev/null; then
      seen=1
    elif ((seen)) || ((SECONDS > deadline - $2 + 2)); then
      say "$name ended; the last lines of $RT/logs/$name.log:"
      tail -n 8 "$RT/logs/$name.log" >&2
      return 1
    fi
    if ((SECONDS >= deadline)); then
      say "$name does not answer; the last lines of $RT/logs/$name.log:"
      tail -n 8 "$RT/logs/$name.log" >&2
      return 1
    fi
    sleep 0.2
  done
}

# ensure COMPONENT SECONDS: leaves a healthy one alone, else starts it (anew).
ensure() {
  healthy "$1" && return
  terminate "$1"
  "run_${1//-/_}"
  await "$1" "$2"
}

# The pids of all processes that carry the mark of this clone's cluster.
marked_pids() {
  local file
  grep -lzxF -- "$MARK" /proc/[0-9]*/environ 2>/dev/null | while IFS=/ read -r _ _ file _; do
    printf '%s\n' "$file"
  done || true
}
