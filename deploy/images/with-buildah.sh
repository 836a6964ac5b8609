# shellcheck shell=bash
# Building and loading without a Docker engine. Sourced by images.sh.

# A store of its own, shared by all clones: layers are kept from build to build.
build_tool() {
  buildah --root "$OCTO_CACHE/buildah/root" --runroot "$OCTO_CACHE/buildah/run" "$@"
}

archive_of() { printf '%s\n' "$OCTO_CACHE/image-$1-$(image_key "$1")"; }

build_image() {
  ((EUID == 0)) || die "building images without a Docker engine needs root"
  [[ -d $(archive_of "$1") ]] && return
  "$OCTO_REPO/deploy/tools.sh" packages
  prepare_context "$1"
  export IMAGE_TARGET="$1"
  IMAGE_BASE="$(base_image)" || die "the base image could not be made"
  export IMAGE_BASE
  cached "image-$1" "$(image_key "$1")" build_archive >/dev/null || exit 1
  drop_older "image-$1"
}

build_archive() {
  local name secret=()
  name="$(built_name "$IMAGE_TARGET")"
  mapfile -t secret < <(ca_secret)
  with_progress "image $IMAGE_TARGET" buildah_build "$name" "$1/log" "${secret[@]}" || {
    tail -n 25 "$1/log" >&2
    return 1
  }
  # Not compressed: it goes no further than this machine's containerd.
  build_tool push -q --disable-compression "$name" "oci-archive:$1/image.tar:$name"
}

buildah_build() {
  local name="$1" log="$2"
  shift 2
  build_tool build --isolation chroot --layers --pull-never --target "$IMAGE_TARGET" --tag "$name" \
    --build-arg "BASE=$IMAGE_BASE" "$@" \
    --ignorefile "$SOURCES/deploy/Dockerfile.dockerignore" --file "$SOURCES/deploy/Dockerfile" \
    "$SOURCES" >"$log" 2>&1
}

# Keeps the three newest archives of an image; each takes a third of a gigabyte.
drop_older() {
  local old
  find "$OCTO_CACHE" -maxdepth 1 -name "$1-*" -printf '%T@ %p\n' | sort -rn | tail -n +4 |
    while read -r _ old; do
      rm -rf "$old"
      build_tool rmi "docker.io/octo/${1#image-}:built-${old##*-}" >/dev/null 2>&1 || true
    done
}

load_into_local() {
  local target="$1" wanted="$2" built have
  # shellcheck source=deploy/local/env.sh
  . "$OCTO_REPO/deploy/local/env.sh"
  [[ -S $CONTAINERD_SOCKET ]] || die "the local cluster is not up: deploy/cluster.sh up"
  built="$(built_name "$target")"
  have="$(ctr_local images list -q)"
  grep -qxF "$built" <<<"$have" || ctr_local images import "$(archive_of "$target")/image.tar" >/dev/null
  grep -qxF "$wanted" <<<"$have" || ctr_local images tag "$built" "$wanted" >/dev/null
}

load_into_kind() { die "kind needs a Docker engine"; }

push_image() {
  build_tool inspect --type image "$(built_name "$1")" >/dev/null 2>&1 ||
    build_tool pull -q "oci-archive:$(archive_of "$1")/image.tar" >/dev/null
  build_tool push "$(built_name "$1")" "docker://$2"
}
