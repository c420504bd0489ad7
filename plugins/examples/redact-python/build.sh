#!/bin/sh
# Builds redact-python.wasm into the folder that is given. Needs Python 3.10 or newer.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: build.sh FOLDER}
mkdir -p "$out"
out=$(cd "$out" && pwd)

if ! cmp -s "$here/requirements.txt" "$out/venv/requirements.txt"; then
    python3 -m venv "$out/venv"
    "$out/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$out/venv/"
fi
"$out/venv/bin/componentize-py" --quiet --wit-path "$here/../../../wit" --world transform \
    componentize redact --python-path "$here" --output "$out/redact-python.wasm"
