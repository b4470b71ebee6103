#!/bin/sh
# Installs the npm packages of every peer (tests/peers/*/package-lock.json) whose node_modules is missing or older than
# its lock file. Where node or npm is missing, says what goes untested; under CI=true that is a failure.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
    echo "node or npm is missing (Debian packages: nodejs, npm): the tests against the peers in tests/peers are NOT run" >&2
    [ "${CI:-}" = true ] && exit 1
    exit 0
fi
failed=0
for lock in "$here"/*/package-lock.json; do
    folder=$(dirname "$lock")
    installed="$folder/node_modules/.package-lock.json" # npm writes it last
    if [ -f "$installed" ] && [ -z "$(find "$lock" -newer "$installed")" ]; then continue; fi
    if ! (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error); then
        echo "npm ci failed in tests/peers/$(basename "$folder"): the tests against it are NOT run" >&2
        failed=1
    fi
done
[ "${CI:-}" = true ] && exit "$failed"
exit 0
