#!/bin/sh
# Gets what two real Lightning nodes need: electrum (Debian), bcoin (npm) and ElectrumX (a venv of its own, since it pins
# old libraries), the latter two into .lightning/ of this checkout. Says what is missing; under CI=true that is a failure.
#   hub/demo/lightning/install.sh [PYTHON]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tools="$here/../../../.lightning"
mkdir -p "$tools"
lacking() {
    echo "$1: the two real Lightning nodes (hub/demo/lightning, tests/lightning/test_electrum*.py) do NOT run" >&2
    [ "${CI:-}" = true ] && exit 1
    exit 0
}

if [ ! -x /usr/bin/electrum ]; then
    if [ "$(id -u)" = 0 ]; then run=""; elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then run="sudo"; else run="none"; fi
    if [ "$run" != none ] && command -v apt-get >/dev/null 2>&1; then
        $run apt-get update -qq && $run apt-get install -y -qq --no-install-recommends electrum >/dev/null ||
            lacking "apt-get could not install electrum"
    else
        lacking "electrum is missing (Debian package: electrum) and may not be installed here"
    fi
fi

if ! command -v node >/dev/null 2>&1 || ! command -v npm >/dev/null 2>&1; then
    lacking "node or npm is missing (Debian packages: nodejs, npm)"
fi
if ! cmp -s "$here/package.json" "$tools/package.json"; then
    # Its native parts do not compile on today's Node; without them bcoin runs in plain JavaScript.
    rm -rf "$tools/node_modules" "$tools/package.json"
    mkdir -p "$tools/new" && cp "$here/package.json" "$tools/new/"
    (cd "$tools/new" && npm install --ignore-scripts --no-package-lock --no-audit --no-fund --loglevel=error) ||
        lacking "npm could not install bcoin"
    mv "$tools/new/node_modules" "$tools/" && mv "$tools/new/package.json" "$tools/"
fi

if [ ! -f "$tools/venv/bin/electrumx_server" ]; then
    "${1:-python3}" -m venv "$tools/venv"
    # 2.0 refuses bcoin: it wants the node's version as a number.
    "$tools/venv/bin/python" -m pip install --quiet 'e-x==1.16.0' plyvel aiohttp || lacking "pip could not install e-x"
fi
