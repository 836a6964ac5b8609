# shellcheck shell=bash
# The base image where no registry can be reached: a debootstrap tree. Sourced by images.sh.

BASE_INCLUDE=python3,ca-certificates,tzdata

# The mirror that this machine's apt uses, so that whatever was set up there holds here.
debian_mirror() {
  # shellcheck disable=SC2016 # apt's own placeholders
  apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    awk -v suite="$DEBIAN_SUITE" '$1 == suite && $2 == "main" {print $3; exit}'
}

build_base_tree() {
  local tree="$1/tree" mirror
  mirror="$(debian_mirror)"
  with_progress "base image: debootstrap $DEBIAN_SUITE (2 minutes)" \
    bootstrap_tree "$tree" "$mirror" >"$1/log" || {
    tail -n 15 "$1/log" >&2
    return 1
  }
  # Of this machine, and of now. The Dockerfile compiles what Python needs.
  rm -f "$tree"/etc/resolv.conf "$tree"/etc/hostname
  chroot "$tree" /bin/sh -s <"$OCTO_REPO/deploy/images/forget.sh" || return 1
  find "$tree/usr/lib" -name __pycache__ -type d -prune -exec rm -rf {} +
  tar --create --file "$1/tree.tar" --directory "$tree" --sort=name --mtime="@$SOURCE_DATE_EPOCH" \
    --numeric-owner --exclude './dev/*' . || return 1
  rm -rf --one-file-system "$tree"
}

bootstrap_tree() {
  debootstrap --variant=minbase "--include=$BASE_INCLUDE" "$DEBIAN_SUITE" "$1" ${2:+"$2"}
}

# base_image prints the name of the base image in buildah's store, made when it is not there.
base_image() {
  local key name container tree
  key="$(content_key "=$DEBIAN_SUITE $BASE_INCLUDE" "=$(declare -f build_base_tree bootstrap_tree)" \
    "$OCTO_REPO/deploy/images/forget.sh" "=$SOURCE_DATE_EPOCH")"
  name="localhost/octo-base:$key"
  if ! build_tool inspect --type image "$name" >/dev/null 2>&1; then
    tree="$(cached base "$key" build_base_tree)" || return 1
    container="$(build_tool from scratch)" || return 1
    build_tool add -q "$container" "$tree/tree.tar" / >/dev/null || return 1
    build_tool config --cmd /bin/sh --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container" || return 1
    build_tool commit -q --rm --timestamp "$SOURCE_DATE_EPOCH" "$container" "$name" >/dev/null || return 1
  fi
  printf '%s\n' "$name"
}
