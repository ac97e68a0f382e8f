#!/bin/bash
# run.sh [node --test option...]: other vendors' client libraries against build/silex.
set -eu
cd "$(dirname "$0")"
./install.sh
exec node --test "$@" ./*.test.js
