#!/bin/sh
# Builds the scoped app into an installable zip, offline once `npm ci` has run (361 MB, Node 20.18 or newer). No instance
# is needed. The zip is in target/.
set -eu
cd "$(dirname "$0")"
[ -d node_modules ] || npm ci --no-audit --no-fund
node --test test/app.test.mjs
npx now-sdk build
npx now-sdk pack
ls -l target/*.zip
