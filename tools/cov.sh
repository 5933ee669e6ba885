#!/bin/sh
# cov.sh DIR: which lines of lib the tests that were run in DIR have reached.
set -eu

command -v gcovr >/dev/null || { echo "cov: gcovr is not installed; on Debian or Ubuntu run: apt-get install -y gcovr"; exit 1; }
gcovr --root . --filter lib/ --object-directory "$1" --exclude-throw-branches "$1"
