#!/bin/bash
# install.sh: the npm packages of package-lock.json, once for each version of it.
set -eu
cd "$(dirname "$0")"
cmp -s package-lock.json node_modules/.silex-lock || {
	npm ci --no-audit --no-fund --loglevel=error
	cp package-lock.json node_modules/.silex-lock
}
