# shellcheck shell=bash
# What goes into each image, and the names made of it. Sourced by images.sh.

TARGETS=(api controller worker postgres demo)

# Where the sources are read from: the work tree or, in OCTO_IMAGE_SOURCES, another one such as
# that of an earlier release; for a build a copy of it, since a file saved while it runs would
# give an image that is not what its name says.
SOURCES="${OCTO_IMAGE_SOURCES:-$OCTO_REPO}"

snapshot_sources() {
  mkdir -p "$OCTO_STATE"
  # What a killed build has left.
  find "$OCTO_STATE" -maxdepth 1 -name 'context.*' -mmin +120 -exec rm -rf {} +
  local from="$SOURCES"
  SOURCES="$(mktemp -d "$OCTO_STATE/context.XXXXXX")"
  # shellcheck disable=SC2064 # this folder, not what the name holds later
  trap "rm -rf '$SOURCES'" EXIT
  (cd "$from" && tar --create --exclude=__pycache__ --exclude='*.egg-info' \
    core api controller worker requirements deploy/Dockerfile deploy/Dockerfile.dockerignore deploy/images) |
    tar --extract --directory "$SOURCES"
}

# image_key TARGET: a change of anything that the target copies changes it.
image_key() {
  local target="$1" d="$SOURCES/deploy" parts script
  parts=("$d/Dockerfile" "=$DEBIAN_SUITE $BASE_INCLUDE $target")
  # An earlier release has none of them, and its files the dates of their build.
  for script in "$d"/images/settle-python.sh "$d"/images/forget.sh; do
    [[ ! -f $script ]] || parts+=("$script" "=$SOURCE_DATE_EPOCH")
  done
  case "$target" in
    api | controller | worker)
      parts+=("$SOURCES/core" "$SOURCES/$target" "$SOURCES/requirements/$target.lock" "$d/images/build.lock")
      ;;
    postgres) parts+=("$d/images/postgres-entrypoint.sh" "=$POSTGRES_MAJOR") ;;
    demo) parts+=("$d/images/sftp-entrypoint.sh" "$d/images/s3-entrypoint.sh" "$d/images/sshd_config" "=$VERSITYGW_VERSION") ;;
  esac
  content_key "${parts[@]}"
}

# One tag for all, so that a chart value names them together.
image_tag() {
  local target keys=()
  for target in "${TARGETS[@]}"; do
    keys+=("=$(image_key "$target")")
  done
  content_key "${keys[@]}" | cut -c1-12
}

# The name of a built image before it gets the common tag: an image whose own
# inputs have not changed is neither built nor imported again.
built_name() { printf 'docker.io/octo/%s:built-%s\n' "$1" "$(image_key "$1")"; }
