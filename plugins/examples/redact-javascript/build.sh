#!/bin/sh
# Builds redact-javascript.wasm into the folder that is given. Needs Node 20 or newer.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: build.sh FOLDER}
mkdir -p "$out"
out=$(cd "$out" && pwd)

if ! cmp -s "$here/package-lock.json" "$here/node_modules/installed.json"; then
    (cd "$here" && npm ci --silent --no-audit --no-fund)
    cp "$here/package-lock.json" "$here/node_modules/installed.json"
fi
"$here/node_modules/.bin/jco" componentize "$here/redact.js" --quiet --wit "$here/../../../wit" --world-name transform \
    --out "$out/redact-javascript.wasm"
