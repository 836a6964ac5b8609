#!/bin/sh
# forget.sh [FILE...] takes away what apt and dpkg leave of when, where and in which order they worked, and FILEs.
set -eu

rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/ldconfig/aux-cache \
    /var/lib/dpkg/*-old /var/cache/debconf/*-old "$@"
find /var/log -type f -delete
rm -rf /var/log/apt /etc/machine-id
# The day on which a user was made.
sed -i 's/^\([^:]*:[^:]*\):[0-9]*:/\1::/' /etc/shadow
rm -f /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- /etc/subuid- /etc/subgid-
