#!/bin/sh
# Installs Debian's chromium for the page tests where that is allowed. Where it is not, says what goes untested;
# under CI=true that is a failure.
set -eu
if [ -x /usr/bin/chromium ]; then exit 0; fi
if [ "$(id -u)" = 0 ]; then run=""; elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then run="sudo"; else run="none"; fi
if [ "$run" != none ] && command -v apt-get >/dev/null 2>&1; then
    $run apt-get update -qq && $run apt-get install -y -qq --no-install-recommends chromium && exit 0
fi
echo "chromium is missing (Debian package: chromium): the tests of the pages in tests/e2e are NOT run" >&2
[ "${CI:-}" = true ] && exit 1
exit 0
