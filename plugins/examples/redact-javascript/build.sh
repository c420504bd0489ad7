#!/bin/sh
# Builds redact-javascript.wasm into the folder that is given. Needs Node 20 or newer.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: build.sh FOLDER}
mkdir -p "$out"
out=$(cd "$out" && pwd)

# preview2-shim is named in package.json because componentize-js needs it and does not say so. Not `npm ci`: it refuses a
# lock that lacks other platforms' optional packages.
if ! cmp -s "$here/package-lock.json" "$here/node_modules/installed.json"; then
    (cd "$here" && npm install --no-save --silent --no-audit --no-fund)
    cp "$here/package-lock.json" "$here/node_modules/installed.json"
fi
node "$here/build.mjs" "$here/../../../wit" "$out/redact-javascript.wasm"
