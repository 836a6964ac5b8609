# shellcheck shell=bash
# What all scripts below deploy/ share: where things are, how they speak, and
# the cache of built things. Sourced, never run.

OCTO_REPO="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
OCTO_STATE="$OCTO_REPO/.octo"
OCTO_BIN="$OCTO_STATE/bin"
OCTO_CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/octo"
# shellcheck source=deploy/versions.env
. "$OCTO_REPO/deploy/versions.env"
export PATH="$OCTO_BIN:$PATH:/usr/sbin:/sbin"

say() { printf '[octo] %s\n' "$*" >&2; }
die() {
  printf '[octo] error: %s\n' "$*" >&2
  exit 1
}

# content_key FILE|DIR|=TEXT... prints 16 hex digits that change when any of
# the given files, the files below the given folders, or the texts change.
content_key() {
  local item
  for item in "$@"; do
    case "$item" in
      =*) printf '%s\n' "$item" ;;
      *)
        # Names relative to the item: a clone elsewhere has the same key.
        (cd "$(dirname "$item")" && find "$(basename "$item")" -type f \
          -not -path '*/__pycache__/*' -not -path '*.egg-info/*' -not -name '*.pyc' -print0 |
          LC_ALL=C sort -z | xargs -0r sha256sum)
        ;;
    esac
  done | sha256sum | cut -c1-16
}

# cached NAME KEY FUNCTION fills the cache folder NAME-KEY by FUNCTION DIR unless
# it is there, and prints its path. FUNCTION writes into a folder of its own
# that is renamed once it is complete, so a killed build leaves nothing half
# done; it must return non-zero on any failure by itself (errexit does not reach
# into a function whose status is asked). The lock keeps two callers from building the same thing.
cached() {
  local name="$1" key="$2" build="$3" done_dir temp
  done_dir="$OCTO_CACHE/$name-$key"
  if [[ ! -d $done_dir ]]; then
    mkdir -p "$OCTO_CACHE/locks"
    (
      flock -n 8 || {
        say "$name: another build of it runs, waiting"
        flock 8
      }
      [[ -d $done_dir ]] && exit 0
      # Only the holder of the lock makes these, so older ones are leftovers.
      rm -rf "$OCTO_CACHE/.$name-$key".*
      temp="$(mktemp -d "$OCTO_CACHE/.$name-$key.XXXXXX")"
      "$build" "$temp" >&2 8>&- || exit 1
      chmod 755 "$temp" && mv -T "$temp" "$done_dir"
    ) 8>"$OCTO_CACHE/locks/$name-$key" || die "building $name failed"
  fi
  printf '%s\n' "$done_dir"
}

# with_progress LABEL COMMAND... says every 15 seconds that COMMAND still runs.
# Go prints nothing while it compiles, and minutes of silence look like a hang.
with_progress() {
  local label="$1" started=$SECONDS ticker rc=0
  shift
  say "$label: started"
  (
    while sleep 15 && kill -0 "$$" 2>/dev/null; do
      say "$label: $((SECONDS - started)) s"
    done
  ) &
  ticker=$!
  "$@" || rc=$?
  kill "$ticker" 2>/dev/null || true
  wait "$ticker" 2>/dev/null || true
  ((rc == 0)) && say "$label: done in $((SECONDS - started)) s"
  return "$rc"
}

has_docker() { command -v docker >/dev/null && docker info >/dev/null 2>&1; }

# Which cluster this call is about: user (a named kubeconfig), kind or local.
cluster_kind() {
  if [[ -n ${OCTO_KUBECONFIG:-} ]]; then
    echo user
  elif [[ -n ${KUBECONFIG:-} && $(readlink -m "${KUBECONFIG:-}") != "$OCTO_STATE/kubeconfig" ]]; then
    # Our own kubeconfig is what a shell that works with us has exported.
    echo user
  elif has_docker; then
    echo kind
  else
    echo local
  fi
}
