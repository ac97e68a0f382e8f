#!/bin/bash
# run.sh [node --test option...]: the page's tests, in chromium, against build/silex or the server at SILEX_URL. Installs what
# the lock files name where it is not there yet.
set -eu
cd "$(dirname "$0")"
for folder in . ../../web; do
	cmp -s "$folder/package-lock.json" "$folder/node_modules/.silex-lock" || {
		npm --prefix "$folder" ci --no-audit --no-fund --loglevel=error
		cp "$folder/package-lock.json" "$folder/node_modules/.silex-lock"
	}
done
exec node --test "$@" ./*.test.js
