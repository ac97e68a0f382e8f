#!/bin/bash
# cmake.sh PRESET [-DOPTION=VALUE...] [--target NAME...]: configures the preset's build folder if need be and builds it.
set -eu
cd "$(dirname "$0")/.."
preset=$1
shift
options=()
while [ $# -gt 0 ] && [ "${1#-D}" != "$1" ]; do
	options+=("$1")
	shift
done
folder=build-$preset
[ "$preset" != release ] || folder=build
log=$(mktemp)
trap 'rm -f "$log"' EXIT
cmake --preset "$preset" "${options[@]}" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
cmake --build "$folder" -j "${JOBS:-$(nproc)}" "$@"
