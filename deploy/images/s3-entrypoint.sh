#!/bin/sh
# Starts an S3 server on /data. Its credentials come from files, so that they are
# in no pod spec; OCTO_S3_BUCKETS names the buckets that must exist.
set -eu

keys="${OCTO_S3_KEYS:-/etc/octo-s3}"
ROOT_ACCESS_KEY="$(cat "$keys/access-key")"
ROOT_SECRET_KEY="$(cat "$keys/secret-key")"
export ROOT_ACCESS_KEY ROOT_SECRET_KEY

for bucket in ${OCTO_S3_BUCKETS:-}; do
    mkdir -p "/data/$bucket"
done

exec versitygw --port :7070 "$@" posix /data
