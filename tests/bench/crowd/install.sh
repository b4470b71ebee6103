#!/bin/sh
# Puts crowd-kit into a venv of its own, for the benchmark `consensus`: it brings torch-sized relatives and needs a
# scikit-learn of yesterday, which the hub does not want. Takes about a minute.
#   ./tests/bench/crowd/install.sh [PYTHON]
set -eu
cd "$(dirname "$0")"
venv=.venv-crowdkit
test -x "$venv/bin/python" || "${1:-python3}" -m venv "$venv"
# Classes of crowd-kit 1.4.2 that call check_is_fitted break with scikit-learn 1.6 and later.
"$venv/bin/python" -m pip install --quiet 'crowd-kit==1.4.2' 'scikit-learn<1.6'
