#!/bin/sh
# Puts a real LNbits server into a venv of its own, for tests/lightning/test_lnbits.py. Not a dependency of the hub: it
# pins other versions of the same libraries. Takes about a minute.
#   ./tests/lightning/install_lnbits.sh [PYTHON]
set -eu
cd "$(dirname "$0")"
venv=.venv-lnbits
test -x "$venv/bin/python" || "${1:-python3}" -m venv "$venv"
# bolt11 2.2.0, which LNbits asks for, cannot be imported with bitstring 5 (no `ConstBitStream` there).
"$venv/bin/python" -m pip install --quiet 'lnbits==1.6.2' 'bitstring<5'
