# shellcheck shell=bash
# Building and loading with a Docker engine. Sourced by images.sh.

build_image() {
  local target="$1" built secret=()
  built="$(built_name "$target")"
  docker image inspect "$built" >/dev/null 2>&1 && return
  prepare_context "$target"
  mapfile -t secret < <(ca_secret)
  # BuildKit: the secret mount needs it, and it reads Dockerfile.dockerignore.
  DOCKER_BUILDKIT=1 docker build --target "$target" --tag "$built" "${secret[@]}" \
    --build-arg "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH" \
    --file "$SOURCES/deploy/Dockerfile" "$SOURCES"
}

load_into_kind() {
  local target="$1" wanted="$2" archive="$OCTO_STATE/images/$1.tar"
  # A node that has it already gets nothing: a third of a gigabyte saved each time.
  if docker exec "${OCTO_KIND_NAME:-octo}-control-plane" crictl inspecti -q "$wanted" >/dev/null 2>&1; then
    return
  fi
  docker tag "$(built_name "$target")" "$wanted"
  mkdir -p "${archive%/*}"
  docker save --output "$archive" "$wanted"
  "$OCTO_REPO/deploy/kind/kind.sh" load "$archive"
  rm -f "$archive"
}

load_into_local() { die "with a Docker engine the cluster is kind's"; }

# image_id TARGET: the digest of its configuration, which names the digest of each layer as it is unpacked.
image_id() { docker image inspect --format '{{.Id}}' "$(built_name "$1")"; }

id_anew() { die "with a Docker engine files have the dates of their build: two builds are not the same"; }

push_image() {
  docker tag "$(built_name "$1")" "$2"
  docker push "$2"
}
