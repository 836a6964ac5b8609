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

build_archive() { archive_into "$1" "$(built_name "$IMAGE_TARGET")"; }

# archive_into FOLDER NAME [OPTION of buildah...]
archive_into() {
  local name="$2" secret=()
  mapfile -t secret < <(ca_secret)
  with_progress "image $IMAGE_TARGET" buildah_build "$name" "$1/log" "${secret[@]}" "${@:3}" || {
    tail -n 25 "$1/log" >&2
    return 1
  }
  # Not compressed: it goes no further than this machine's containerd.
  build_tool push -q --disable-compression "$name" "oci-archive:$1/image.tar:$name"
}

buildah_build() {
  local name="$1" log="$2" dates=()
  shift 2
  # An older release's Dockerfile trusts the dates of files for its compiled Python.
  ! grep -q SOURCE_DATE_EPOCH "$SOURCES/deploy/Dockerfile" ||
    dates=(--timestamp "$SOURCE_DATE_EPOCH" --build-arg "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH")
  build_tool build --isolation chroot --layers --pull-never --target "$IMAGE_TARGET" --tag "$name" \
    --build-arg "BASE=$IMAGE_BASE" "${dates[@]}" "$@" \
    --ignorefile "$SOURCES/deploy/Dockerfile.dockerignore" --file "$SOURCES/deploy/Dockerfile" \
    "$SOURCES" >"$log" 2>&1
}

# Keeps the four newest archives of an image, two of them of earlier releases; each takes a third of a gigabyte.
drop_older() {
  local old
  find "$OCTO_CACHE" -maxdepth 1 -name "$1-*" -printf '%T@ %p\n' | sort -rn | tail -n +5 |
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

# image_id TARGET: the digest of its configuration, which names the digest of each layer as it is unpacked.
image_id() { id_in "$(archive_of "$1")/image.tar"; }

id_in() {
  local manifest
  manifest="$(tar --extract --to-stdout --file "$1" index.json | digest_of '["manifests"][0]')"
  tar --extract --to-stdout --file "$1" "blobs/${manifest/://}" | digest_of '["config"]'
}

digest_of() { python3 -c "import json, sys; print(json.load(sys.stdin)$1['digest'])"; }

# id_anew TARGET: the id of an image that is built once more, without any layer of an earlier build but the base.
id_anew() {
  local folder name="localhost/octo-anew-$1:$$"
  export IMAGE_TARGET="$1"
  IMAGE_BASE="$(base_image)" || die "the base image could not be made"
  export IMAGE_BASE
  folder="$(mktemp -d "$OCTO_STATE/anew.XXXXXX")"
  prepare_context "$1"
  archive_into "$folder" "$name" --no-cache >&2 || die "$1 could not be built"
  id_in "$folder/image.tar"
  build_tool rmi "$name" >/dev/null 2>&1 || true
  [[ -n ${OCTO_KEEP_ANEW:-} ]] || rm -rf "$folder"
}

push_image() {
  build_tool inspect --type image "$(built_name "$1")" >/dev/null 2>&1 ||
    build_tool pull -q "oci-archive:$(archive_of "$1")/image.tar" >/dev/null
  build_tool push "$(built_name "$1")" "docker://$2"
}
