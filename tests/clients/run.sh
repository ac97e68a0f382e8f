#!/bin/bash
# run.sh [node --test option...]: other vendors' client libraries against build/silex.
set -eu
cd "$(dirname "$0")"
cmp -s package-lock.json node_modules/.silex-lock || {
	npm ci --no-audit --no-fund --loglevel=error
	cp package-lock.json node_modules/.silex-lock
}
exec node --test "$@" ./*.test.js
