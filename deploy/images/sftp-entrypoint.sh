#!/bin/sh
# Starts an SFTP server as a non-root user on a read-only root file system.
# /etc/octo-sftp/ holds host_key and authorized_keys; /data is served.
set -eu

keys="${OCTO_SFTP_KEYS:-/etc/octo-sftp}"
run="$(mktemp -d /tmp/sshd.XXXXXX)"
umask 077

# sshd refuses a private key that others may read, as files of a mounted Secret are.
cp "$keys/host_key" "$run/host_key"
cp "$keys/authorized_keys" "$run/authorized_keys"

# What clients upload is for others to read.
umask 022
exec /usr/sbin/sshd -D -e -f /etc/octo/sshd_config \
    -o "HostKey=$run/host_key" -o "AuthorizedKeysFile=$run/authorized_keys" "$@"
