#!/usr/bin/env bash
# Builds the project's images and gives them to the cluster.
#
#   deploy/images.sh tag              prints the tag: a hash of all that goes into the images
#   deploy/images.sh build [TARGET…]  builds what is not built yet (api controller worker postgres demo)
#   deploy/images.sh load [TARGET…]   builds, and makes octo/TARGET:TAG known to the cluster
#   deploy/images.sh id [TARGET…]     prints the id of each, which is the same wherever it is built
#   deploy/images.sh archive [TARGET…] prints where the file of each is (OCI; no Docker engine)
#   deploy/images.sh rebuild [TARGET…] builds each from the start once more, and prints the id that comes of it
#   deploy/images.sh base             makes the base image only, ahead of time (no Docker engine)
#
# build and load print the tag too, as their only line on standard output: take it
# from there, since the sources may have changed by the time that 'tag' is asked.
#
# With a Docker engine: docker build. Without: buildah, on a debootstrap base.
# A cluster of the user's own takes images from a registry: OCTO_IMAGE_REGISTRY names it.
# OCTO_IMAGE_SOURCES names another tree to build from than this one.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
# shellcheck source=deploy/lib.sh
. "$here/lib.sh"
# shellcheck source=deploy/images/base.sh
. "$here/images/base.sh"
# shellcheck source=deploy/images/inputs.sh
. "$here/images/inputs.sh"
if has_docker; then
  # shellcheck source=deploy/images/with-docker.sh
  . "$here/images/with-docker.sh"
else
  # shellcheck source=deploy/images/with-buildah.sh
  . "$here/images/with-buildah.sh"
fi

# The host's CA bundle as a build secret: behind a proxy with a CA of its own, pip
# and uv need it; it never gets into an image.
ca_secret() {
  local bundle="${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}"
  [[ ! -r $bundle ]] || printf -- '--secret=id=ca,src=%s\n' "$bundle"
}

# versitygw is built outside the Dockerfile; a symlink into the cache would not
# be followed by a build, so the context gets the file.
prepare_context() {
  [[ $1 == demo ]] || return 0
  "$here/tools.sh" versitygw
  mkdir -p "$SOURCES/bin"
  cp -L "$OCTO_BIN/versitygw" "$SOURCES/bin/versitygw"
}

load_one() {
  local target="$1" tag="$2"
  case "$(cluster_kind)" in
    user)
      [[ -n ${OCTO_IMAGE_REGISTRY:-} ]] || die "your cluster takes images from a registry that it can reach:" \
        "set OCTO_IMAGE_REGISTRY=host/path, and install the chart with that registry"
      push_image "$target" "$OCTO_IMAGE_REGISTRY/octo/$target:$tag"
      ;;
    kind) load_into_kind "$target" "octo/$target:$tag" ;;
    local) load_into_local "$target" "docker.io/octo/$target:$tag" ;;
  esac
}

main() {
  local command="${1:-}" target tag
  shift || true
  local targets=("$@")
  ((${#targets[@]})) || targets=("${TARGETS[@]}")
  case "$command" in
    tag) image_tag ;;
    base)
      has_docker || base_image
      ;;
    id | archive)
      mkdir -p "$OCTO_CACHE"
      snapshot_sources
      for target in "${targets[@]}"; do
        build_image "$target" >&2
        if [[ $command == id ]]; then
          printf '%s %s\n' "$target" "$(image_id "$target")"
        else
          printf '%s/image.tar\n' "$(archive_of "$target")"
        fi
      done
      ;;
    rebuild)
      mkdir -p "$OCTO_CACHE"
      snapshot_sources
      for target in "${targets[@]}"; do
        printf '%s %s\n' "$target" "$(id_anew "$target")"
      done
      ;;
    build | load)
      mkdir -p "$OCTO_CACHE"
      snapshot_sources
      tag="$(image_tag)"
      for target in "${targets[@]}"; do
        [[ " ${TARGETS[*]} " == *" $target "* ]] || die "no target '$target', there are: ${TARGETS[*]}"
        build_image "$target" >&2
        [[ $command == build ]] || load_one "$target" "$tag" >&2
      done
      say "images ready: ${targets[*]}"
      printf '%s\n' "$tag"
      ;;
    *) die "usage: images.sh tag|base|build|load|id|archive|rebuild [TARGET...]" ;;
  esac
}

main "$@"
