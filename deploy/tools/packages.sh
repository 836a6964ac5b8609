# shellcheck shell=bash
# Debian packages of the local cluster, of the image builds and of the tests. Sourced by tools.sh.

# command=package; the command tells that the package (or something else that
# gives the same command) is there.
OCTO_PACKAGES=(
  containerd=containerd runc=runc /usr/lib/cni/bridge=containernetworking-plugins
  iptables=iptables ip=iproute2 conntrack=conntrack ethtool=ethtool socat=socat
  buildah=buildah debootstrap=debootstrap sshd=openssh-server gpg=gnupg gpg-agent=gpg-agent
  sq=sq rnp=rnp
  "/usr/lib/postgresql/$POSTGRES_MAJOR/bin/postgres=postgresql-$POSTGRES_MAJOR"
  openssl=openssl curl=curl xz=xz-utils
  # The archivers that the unpacking is tested against.
  bzip2=bzip2 zstd=zstd pigz=pigz bsdtar=libarchive-tools 7z=p7zip-full zip=zip
)
# What shows the console to its tests, with the letters for it.
OCTO_BROWSER_PACKAGES=(
  chromium-headless-shell=chromium-headless-shell
  /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf=fonts-dejavu-core
)
# Debian's own python3 has its venv module in a package apart.
if [[ $(command -v python3) == /usr/bin/python3 ]] && ! python3 -c 'import ensurepip' 2>/dev/null; then
  OCTO_PACKAGES+=(no-ensurepip=python3-venv)
fi

missing_packages() {
  local pair
  for pair in "$@"; do
    [[ -e ${pair%%=*} ]] || command -v "${pair%%=*}" >/dev/null || printf '%s\n' "${pair#*=}"
  done
}

install_packages() { install_missing "${OCTO_PACKAGES[@]}"; }
install_browser() { install_missing "${OCTO_BROWSER_PACKAGES[@]}"; }

# install_missing COMMAND=PACKAGE...
install_missing() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0
  if ((EUID != 0)) || ! command -v apt-get >/dev/null; then
    die "missing: ${missing[*]} (names of Debian packages). The local cluster needs root on Debian 12;" \
      "run this as root there, install them yourself, or start a Docker engine, and kind is used."
  fi
  say "installing ${missing[*]}"
  mkdir -p "$OCTO_CACHE/locks"
  (
    flock 8
    apt_install "${missing[@]}"
  ) 8>"$OCTO_CACHE/locks/apt"
}

# Runs in a subshell with the lock held: no daemon of these packages may start by itself,
# so policy-rc.d refuses every start until the installation is over.
apt_install() {
  local policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  # createcluster.conf: no example database cluster beside ours.
  mkdir -p /etc/postgresql-common
  [[ -e /etc/postgresql-common/createcluster.conf ]] ||
    echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
  local log="$OCTO_STATE/packages.log"
  {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends \
      -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=300 "$@"
  } >"$log" 2>&1 </dev/null || {
    tail -n 15 "$log" >&2
    die "apt-get failed, all of it: $log"
  }
}
