#!/bin/sh
# settle-python.sh FOLDER... compiles all Python below, and has the same files give the same bytes.
set -eu

# Made by whoever installed it, and found by the dates of files, which an image has not.
find "$@" -name __pycache__ -type d -prune -exec rm -rf {} +
# One process, one order: what it compiled before shows in how constants refer to each other. It imports as it goes (-B, -f).
for folder in "$@"; do
    # Templates and code for other versions do not compile; nobody imports them.
    PYTHONHASHSEED=0 /usr/bin/python3 -B -m compileall -q -f -j 1 --invalidation-mode unchecked-hash "$folder" >/dev/null || true
done
# When uv saw a wheel of ours.
find "$@" -path '*.dist-info/uv_cache.json' -delete
find "$@" -path '*.dist-info/RECORD' -exec sed -i '/\/uv_cache\.json,/d' {} +
